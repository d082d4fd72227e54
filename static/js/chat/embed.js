/**
 * The talk between this frame and the page around it. The page says hello first; only a page on the inbox's list is
 * answered, and every answer is addressed to exactly that page. Nothing a customer wrote is ever said here.
 */

export class Surroundings {
  #origin = null;
  #said = new Map();

  constructor({ allowedOrigins, onOpened, onClosed }) {
    this.onClosed = onClosed;
    window.addEventListener("message", (event) => {
      if (event.source !== window.parent || !allowedOrigins.includes(event.origin)) return;
      const kind = event.data?.type;
      if (kind === "eml:hello") this.#greet(event.origin);
      if (kind === "eml:opened") onOpened();
      if (kind === "eml:closed") onClosed();
    });
  }

  close() {
    // Hidden in a moment: what arrives from now on is not seen.
    this.onClosed();
    this.#say("eml:close");
  }

  unread(count) {
    this.#say("eml:unread", count);
  }

  /** Whether there is a conversation to listen to; then the page loads this frame before it is opened. */
  session(isOpen) {
    this.#say("eml:session", isOpen);
  }

  #greet(origin) {
    this.#origin = origin;
    this.#say("eml:ready");
    for (const [type, value] of this.#said) this.#say(type, value);
  }

  #say(type, value) {
    if (value !== undefined) this.#said.set(type, value);
    if (this.#origin) window.parent.postMessage({ type, value }, this.#origin);
  }
}
