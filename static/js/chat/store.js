/**
 * What this browser keeps of the chat with one inbox. Without storage (a strict browser, a frame on a foreign page)
 * everything lives as long as the page. Tabs share it; a tab hears of another's change by `onSession`.
 */

export class Store {
  #memory = new Map();
  #prefix;

  constructor(inbox) {
    this.#prefix = `eml-chat:${inbox}:`;
  }

  /** {token, conversation, read}: the key, and how far the customer has read. */
  get session() {
    return this.#get("session");
  }

  set session(value) {
    this.#set("session", value);
  }

  /** {name, email, phone, previous_token} of the last conversation: nobody likes to type twice. */
  get person() {
    return this.#get("person") ?? {};
  }

  set person(value) {
    this.#set("person", value);
  }

  /** A start that may have arrived although no answer did: {start_key, body}. */
  get attempt() {
    return this.#get("attempt");
  }

  set attempt(value) {
    this.#set("attempt", value);
  }

  get isMuted() {
    return this.#get("muted") === true;
  }

  set isMuted(value) {
    this.#set("muted", value);
  }

  outbox(conversation) {
    return this.#get(`outbox:${conversation}`) ?? [];
  }

  /** Two tabs have one outbox: each changes its own entry and leaves the others alone. */
  keepUnsent(conversation, entry) {
    const others = this.outbox(conversation).filter((other) => other.client_msg_id !== entry.client_msg_id);
    this.#set(`outbox:${conversation}`, [...others, entry]);
  }

  dropUnsent(conversation, clientMsgId) {
    const left = this.outbox(conversation).filter((entry) => entry.client_msg_id !== clientMsgId);
    this.#set(`outbox:${conversation}`, left.length ? left : null);
  }

  onSession(heard) {
    window.addEventListener("storage", (event) => {
      if (event.key === `${this.#prefix}session`) heard(this.session);
    });
  }

  #get(name) {
    try {
      return JSON.parse(localStorage.getItem(this.#prefix + name));
    } catch {
      return this.#memory.get(name) ?? null;
    }
  }

  #set(name, value) {
    this.#memory.set(name, value);
    try {
      if (value === null) localStorage.removeItem(this.#prefix + name);
      else localStorage.setItem(this.#prefix + name, JSON.stringify(value));
    } catch {
      // Not allowed here, or full: the memory has it.
    }
  }
}
