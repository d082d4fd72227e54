/**
 * What the customer wrote and the server has not confirmed, in order. It survives a reload, and is sent again under
 * the same client_msg_id, so the server stores it once however often it arrives.
 */

const ACK_SECONDS = 8;
const RETRY_SECONDS = 5;
// Worth another try; anything else is wrong with the message itself.
const PASSING = ["rate_limited", "unavailable", "server_error"];

export class Outbox {
  #isSending = false;
  #retry = null;
  #waiting = new Map();
  entries = [];

  /**
   * `sendLive(frame)` is true when a socket took it; `sendSlow(entry)` posts it and resolves with {seq, at};
   * `onSent(entry, {seq, at})`, `onChange()`.
   */
  constructor({ store, conversation, sendLive, sendSlow, onSent, onChange }) {
    Object.assign(this, { store, conversation, sendLive, sendSlow, onSent, onChange });
    this.entries = store.outbox(conversation);
  }

  add({ body, attachments }) {
    const entry = { client_msg_id: newId(), body, attachments, at: new Date().toISOString(), error: null };
    this.entries.push(entry);
    this.store.keepUnsent(this.conversation, entry);
    this.onChange();
    this.flush();
  }

  retry(clientMsgId) {
    const entry = this.#find(clientMsgId);
    if (!entry) return;
    entry.error = null;
    this.store.keepUnsent(this.conversation, entry);
    this.onChange();
    this.flush();
  }

  discard(clientMsgId) {
    this.entries = this.entries.filter((entry) => entry.client_msg_id !== clientMsgId);
    this.store.dropUnsent(this.conversation, clientMsgId);
    this.onChange();
  }

  /** One after the other, so that they arrive in the order they were written. */
  async flush() {
    if (this.#isSending) return;
    this.#isSending = true;
    clearTimeout(this.#retry);
    try {
      let entry;
      while ((entry = this.entries.find((each) => !each.error))) {
        if (!(await this.#deliver(entry))) break;
      }
    } finally {
      this.#isSending = false;
    }
  }

  /** An `ack` frame, the message itself coming back, or the answer to a POST: whichever is first. */
  confirm(clientMsgId, { seq, at }) {
    const entry = this.#find(clientMsgId);
    if (entry) {
      // Out first: the record tells us of every message it takes in, this one too.
      this.discard(clientMsgId);
      this.onSent(entry, { seq, at });
    }
    this.#settle(clientMsgId, null);
  }

  /** An `error` frame about one message. */
  refuse(clientMsgId, { code, detail }) {
    this.#settle(clientMsgId, { code, detail, isPassing: PASSING.includes(code) });
  }

  /** The socket is gone: who waits for an `ack` tries the other way now. */
  lose() {
    for (const clientMsgId of [...this.#waiting.keys()]) this.#settle(clientMsgId, { isPassing: true });
  }

  stop() {
    clearTimeout(this.#retry);
    this.entries = [];
    this.lose();
  }

  async #deliver(entry) {
    const error = (await this.#tryLive(entry)) ?? null;
    const failure = error === "no ack" ? await this.#trySlow(entry) : error;
    if (!failure || !this.#find(entry.client_msg_id)) return true;
    if (failure.isPassing) {
      this.#retry = setTimeout(() => this.flush(), (failure.retryAfter || RETRY_SECONDS) * 1000);
      return false;
    }
    entry.error = failure.detail || failure.code;
    this.store.keepUnsent(this.conversation, entry);
    this.onChange();
    return true;
  }

  /** Resolves with null (stored), an error, or "no ack". */
  #tryLive({ client_msg_id, body, attachments }) {
    const frame = { type: "message", client_msg_id, body, attachments: attachments.map((file) => file.id) };
    if (!this.sendLive(frame)) return "no ack";
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#settle(client_msg_id, { isPassing: true }), ACK_SECONDS * 1000);
      this.#waiting.set(client_msg_id, (error) => {
        clearTimeout(timer);
        resolve(error?.isPassing ? "no ack" : error);
      });
    });
  }

  async #trySlow(entry) {
    try {
      const ids = entry.attachments.map((file) => file.id);
      this.confirm(entry.client_msg_id, await this.sendSlow({ ...entry, attachments: ids }));
      return null;
    } catch (error) {
      return error;
    }
  }

  #settle(clientMsgId, error) {
    this.#waiting.get(clientMsgId)?.(error);
    this.#waiting.delete(clientMsgId);
  }

  #find(clientMsgId) {
    return this.entries.find((entry) => entry.client_msg_id === clientMsgId);
  }
}

/** crypto.randomUUID exists only on https and localhost; an installation in a plain office network has neither. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
