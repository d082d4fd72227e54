/** The whole page from the client's state. `draw` may be called any number of times; it changes only what differs. */

import { ref, say, show, texts } from "./dom.js";
import { fill, initials, tint } from "./words.js";

// A connection that is back at once is no news.
const QUIET_SECONDS = 2;

export class View {
  #lostSince = null;
  #drawAgain = null;

  constructor({ client, messages, composer, ending, callback, hours, attention }) {
    Object.assign(this, { client, messages, composer, ending, callback, hours, attention });
    this.screens = { loading: ref("loading"), start: ref("start"), talk: ref("talk") };
    this.screen = "loading";
    // Offered even when no conversation runs: what the browser remembers can be removed.
    this.#listenToMenu();
    this.#listenToPictures();
  }

  open(screen) {
    this.screen = screen;
    for (const [name, element] of Object.entries(this.screens)) show(element, name === screen);
    show(ref("menu-button"), screen === "talk");
    if (screen !== "talk") {
      this.#lostSince = null;
      show(ref("connection"), false);
      this.#drawHeader();
    }
  }

  draw() {
    const { client } = this;
    this.#drawHeader();
    if (this.screen !== "talk") return;
    this.#drawConnection();
    this.messages.draw({
      messages: client.record.messages,
      unsent: client.outbox?.entries ?? [],
      readSeq: client.readSeq,
      hasAgent: client.record.hadAgent,
    });
    this.#drawTyping();
    this.#drawWait();
    const isClosed = client.status === "closed";
    show(this.composer.form, !isClosed);
    show(ref("ended"), isClosed);
    show(ref("end"), !isClosed);
    if (isClosed) this.ending.draw(client);
    // What was said before is not read aloud: only what comes now.
    ref("live").setAttribute("aria-busy", String(!client.isLoaded));
  }

  drawAvailability({ isStaffed, isOpen, isFull }) {
    Object.assign(this, { isStaffed, isOpen, isFull });
    this.#drawHeader();
  }

  drawSound() {
    const button = ref("sound");
    show(ref("sound-on"), !this.attention.isMuted);
    show(ref("sound-off"), this.attention.isMuted);
    button.setAttribute("aria-checked", String(!this.attention.isMuted));
    button.dataset.tip = this.attention.isMuted ? texts.soundOff : texts.soundOn;
  }

  #drawHeader() {
    const { client } = this;
    const isTalking = this.screen === "talk" && client.status === "active" && client.agentName;
    const face = ref("header-face");
    show(face, Boolean(isTalking));
    show(ref("header-logo"), !isTalking);
    if (isTalking) {
      say(face, initials(client.agentName));
      face.className = `avatar avatar--lg avatar--${tint(client.agentName)}`;
    }
    say(ref("header-name"), isTalking ? client.agentName : texts.inbox);
    const [words, presence] = this.#standing(isTalking);
    say(ref("header-status"), words);
    ref("header-status").className = presence ? `presence presence--${presence}` : "";
  }

  /** The line under the name, and the colour of its dot. */
  #standing(isTalking) {
    const { client } = this;
    if (isTalking) return [texts.talking, "available"];
    if (this.screen === "talk" && client.status === "closed") return [texts.closed, "offline"];
    const isWaiting = this.screen === "talk" && client.status === "waiting";
    if (isWaiting && !isDeserted(client)) return [texts.waiting, "busy"];
    const isStaffed = isWaiting ? false : this.isStaffed;
    if (isStaffed === undefined) return ["", null];
    const isClosed = isWaiting ? !client.wait.is_open : this.isOpen === false;
    if (!isStaffed && !isClosed && !isWaiting && this.isFull) return [texts.fullNow, "busy"];
    return isStaffed ? [texts.here, "available"] : [isClosed ? texts.closedNow : texts.away, "offline"];
  }

  #drawConnection() {
    const isLost = !this.client.isOnline && this.client.status !== "closed";
    clearTimeout(this.#drawAgain);
    if (!isLost) this.#lostSince = null;
    else this.#lostSince ??= Date.now();
    const lostFor = isLost ? Date.now() - this.#lostSince : 0;
    const isShown = isLost && lostFor >= QUIET_SECONDS * 1000;
    if (isLost && !isShown) this.#drawAgain = setTimeout(() => this.draw(), QUIET_SECONDS * 1000 - lostFor + 20);
    say(ref("connection-text"), isShown ? texts.connecting : "");
    show(ref("connection"), isShown);
  }

  #drawTyping() {
    const name = this.client.typingName;
    const wasShown = !ref("typing").hidden;
    show(ref("typing"), Boolean(name));
    say(ref("typing-text"), name ? fill(texts.typing, { name }) : "");
    if (name && !wasShown && this.messages.isAtEnd) this.messages.toEnd();
  }

  #drawWait() {
    const { client } = this;
    const isWaiting = client.status === "waiting" && client.wait !== null;
    show(ref("wait"), isWaiting);
    this.callback.draw(isWaiting ? client.wait : null);
    if (!isWaiting) return;
    const [title, text, isMoving] = this.#waitWords(client.wait);
    say(ref("wait-title"), title);
    say(ref("wait-text"), text);
    show(ref("wait-moving"), isMoving);
    show(ref("wait-still"), !isMoving);
    if (this.messages.isAtEnd) this.messages.toEnd();
  }

  /** Title, text, and whether something is going on right now. */
  #waitWords(wait) {
    const { state, position, callback, estimate } = wait;
    const place = position ? fill(position === 1 ? texts.next : texts.position, { n: position }) : "";
    const time = estimate ? fill(texts.expected, { range: this.hours.range(estimate) }) : "";
    if (state === "active") return [texts.joining, "", true];
    if (callback) return [...this.#callbackWords(wait, [place, time].filter(Boolean).join(" ")), false];
    if (state === "resting") return [texts.comeBack, texts.comeBackText, false];
    if (!wait.is_open) return [texts.closedTitle, [this.hours.closed(wait), texts.leftText].filter(Boolean).join(" "), false];
    if (isDeserted(this.client)) return this.client.isLeftMessage ? [texts.left, texts.leftText, false] : [texts.nobody, texts.nobodyText, false];
    if (this.client.record.hadAgent) return [texts.finding, [place, texts.keepWriting].filter(Boolean).join(" "), true];
    if (state === "offered") return [texts.calling, texts.keepWriting, true];
    if (wait.is_full && this.client.isLeftMessage) return [texts.left, texts.leftText, false];
    const advice = wait.is_full ? (wait.offers_callback ? texts.fullCallback : texts.fullText) : texts.keepWriting;
    return [place || texts.waiting, [time, advice].filter(Boolean).join(" "), true];
  }

  /** Who does not wait at the screen: how he hears from us, and when. */
  #callbackWords({ state, is_open: isOpen, callback, ...wait }, standing) {
    if (state === "resting" && callback.due_at) {
      return [texts.notReachedYou, fill(texts.callAgain, { when: this.hours.moment(callback.due_at) })];
    }
    const title = callback.way === "call" ? fill(texts.callYou, { phone: callback.phone }) : texts.writeYou;
    return [title, [isOpen ? standing : this.hours.closed(wait), texts.mayLeave].filter(Boolean).join(" ")];
  }

  #listenToMenu() {
    const button = ref("menu-button");
    const menu = ref("menu");
    const items = () => [...menu.querySelectorAll("[role=menuitem]:not([hidden])")];
    const toggle = (isOpen) => {
      show(menu, isOpen);
      button.setAttribute("aria-expanded", String(isOpen));
      if (isOpen) items()[0].focus();
    };
    button.addEventListener("click", () => toggle(menu.hidden));
    document.addEventListener("click", (event) => !event.target.closest("[data-menu]") && toggle(false));
    menu.addEventListener("click", () => toggle(false));
    menu.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const all = items();
      if (step) all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
      if (event.key === "Escape" || event.key === "Tab") toggle(false);
      if (event.key === "Escape") button.focus();
      if (step || event.key === "Escape") event.preventDefault();
    });
  }

  #listenToPictures() {
    const dialog = ref("lightbox");
    dialog.addEventListener("click", () => dialog.close());
  }

  enlarge(address, name) {
    const dialog = ref("lightbox");
    const image = ref("lightbox-image", dialog);
    Object.assign(image, { src: address, alt: name });
    dialog.showModal();
  }
}

/** Nobody is there for who waits; said at once, also in the first moments, when it is not in line yet. */
function isDeserted({ wait, isLeftMessage }) {
  return Boolean(wait) && !wait.is_staffed && (wait.state === "waiting" || isLeftMessage);
}
