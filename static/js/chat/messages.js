/** Draws what was said: one element per message, kept for its life, so that nothing flickers when a mark changes. */

import { attachmentElement } from "./files.js";
import { copy, ref, say, show, texts } from "./dom.js";
import { fill, initials, linkify, tint } from "./words.js";

const GROUP_MINUTES = 5;
const NEAR_END_PIXELS = 80;

export class MessageList {
  #elements = new Map();
  #isAtEnd = true;
  #scrollTop = 0;

  constructor({ scroller, list, clock, addresses, onRetry, onDiscard, onEnlarge, onSeen }) {
    Object.assign(this, { scroller, list, clock, addresses, onRetry, onDiscard, onEnlarge, onSeen });
    this.jump = ref("jump");
    this.jump.addEventListener("click", () => this.toEnd());
    scroller.addEventListener("scroll", () => this.#scrolled());
    // A phone's keyboard and a growing text box take room, pictures arrive late: the end stays in sight.
    const sizes = new ResizeObserver(() => this.#isAtEnd && this.toEnd());
    [scroller, ...scroller.children].forEach((element) => sizes.observe(element));
  }

  get isAtEnd() {
    return this.#isAtEnd;
  }

  clear() {
    this.#elements.clear();
    this.list.replaceChildren();
    this.#isAtEnd = true;
    show(this.jump, false);
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#isAtEnd = true;
    show(this.jump, false);
  }

  /** `messages` in order, then `unsent`; `readSeq`: how far the agent has read. */
  draw({ messages, unsent, readSeq, hasAgent }) {
    const wanted = this.#sequence(messages, unsent);
    const isNew = wanted.some(({ key }) => !this.#elements.has(key));
    wanted.forEach((item, index) => this.#place(item, index));
    while (this.list.children.length > wanted.length) this.#forget(this.list.lastElementChild);
    this.#markGroups(wanted);
    this.#markState(messages, unsent, readSeq, hasAgent);
    if (!isNew) return;
    if (this.#isAtEnd || unsent.length) this.toEnd();
    else show(this.jump, true);
  }

  /** Only who scrolls up leaves the end: what grows below in the same moment does not count. */
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const isUp = scrollTop < this.#scrollTop;
    this.#scrollTop = scrollTop;
    if (scrollHeight - scrollTop - clientHeight < NEAR_END_PIXELS) {
      this.#isAtEnd = true;
      show(this.jump, false);
      this.onSeen();
    } else if (isUp) this.#isAtEnd = false;
  }

  /** Messages with a line for each new day between them. */
  #sequence(messages, unsent) {
    const items = [];
    let day = null;
    for (const message of [...messages, ...unsent.map((entry) => ({ ...entry, sender: "customer", isUnsent: true }))]) {
      const key = this.clock.dayKey(message.at);
      if (key !== day) items.push({ key: `day ${key}`, day: message.at });
      day = key;
      items.push({ key: message.client_msg_id ?? `seq ${message.seq}`, message });
    }
    return items;
  }

  #place(item, index) {
    let element = this.#elements.get(item.key);
    if (!element) {
      element = item.message ? this.#draw(item.message) : this.#drawDay(item.day);
      element.dataset.key = item.key;
      this.#elements.set(item.key, element);
    }
    item.element = element;
    if (item.message?.seq) element.dataset.seq = item.message.seq;
    if (this.list.children[index] !== element) this.list.insertBefore(element, this.list.children[index] ?? null);
  }

  #forget(element) {
    this.#elements.delete(element.dataset.key);
    element.remove();
  }

  #drawDay(at) {
    const element = copy("chat-day");
    ref("day", element).textContent = this.clock.day(at);
    return element;
  }

  #draw(message) {
    if (message.sender === "system") return this.#drawSystem(message);
    const element = copy(message.sender === "customer" ? "chat-own" : "chat-other");
    const bubble = ref("bubble", element);
    write(ref("body", element), message.body);
    show(bubble, Boolean(message.body));
    const files = ref("files", element);
    for (const file of message.attachments ?? []) {
      files.append(attachmentElement(file, this.addresses, this.onEnlarge));
    }
    if (message.sender === "customer") this.#connect(element, message.client_msg_id);
    else this.#introduce(element, message.name);
    return element;
  }

  #drawSystem(message) {
    const element = copy("chat-system");
    write(ref("body", element), message.body);
    return element;
  }

  #introduce(element, name) {
    const face = ref("face", element);
    face.textContent = initials(name || texts.agent);
    face.classList.add(`avatar--${tint(name)}`);
    ref("name", element).textContent = name || texts.agent;
  }

  #connect(element, clientMsgId) {
    ref("retry", element).addEventListener("click", () => this.onRetry(clientMsgId));
    ref("discard", element).addEventListener("click", () => this.onDiscard(clientMsgId));
  }

  /** Neighbours of one sender within a few minutes are one group: one name at its head, one time at its foot. */
  #markGroups(items) {
    items.forEach(({ element, message }, index) => {
      if (!message || message.sender === "system") return;
      element.classList.toggle("message--first", !belong(items[index - 1]?.message, message));
      const isLast = !belong(message, items[index + 1]?.message);
      element.classList.toggle("message--last", isLast);
      const time = ref("time", element);
      if (!time.dateTime) Object.assign(time, { dateTime: message.at, title: this.clock.exact(message.at) });
      say(time, this.clock.time(message.at));
    });
  }

  #markState(messages, unsent, readSeq, hasAgent) {
    const own = messages.filter((message) => message.sender === "customer");
    const last = own.at(-1);
    for (const message of own) {
      const isRead = hasAgent && message.seq <= readSeq;
      this.#setState(message, isRead ? "read" : "sent", message === last && !unsent.length);
    }
    for (const entry of unsent) this.#setState(entry, entry.error ? "failed" : "sending", true, entry.error);
  }

  #setState(message, state, isLabelled, error = "") {
    const element = this.#elements.get(message.client_msg_id ?? `seq ${message.seq}`);
    element.dataset.state = state;
    element.classList.toggle("message--labelled", isLabelled);
    say(ref("state", element), texts[state]);
    show(ref("failure", element), state === "failed");
    say(ref("error", element), state === "failed" ? fill(texts.notSent, { why: error }) : "");
  }
}

function belong(one, other) {
  if (!one || !other || one.sender !== other.sender || one.name !== other.name) return false;
  return new Date(other.at) - new Date(one.at) < GROUP_MINUTES * 60_000;
}

/** A person's words into an element: text nodes and checked links, never markup. */
function write(element, body) {
  for (const { text, href } of linkify(body)) {
    if (!href) element.append(text);
    else {
      const link = document.createElement("a");
      Object.assign(link, { href, target: "_blank", rel: "noopener noreferrer nofollow ugc", textContent: text });
      element.append(link);
    }
  }
}
