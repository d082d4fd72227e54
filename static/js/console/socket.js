// The desk's socket. Frames are hints: each becomes DOM events, and the fragments that listen look again.

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15000;
// The server pings every 10 seconds; after this silence the connection is dead, whatever the browser believes.
const SILENCE = 26000;
const UNAUTHENTICATED = 4401;

export class DeskSocket extends EventTarget {
  #socket = null;
  #delay = FIRST_DELAY;
  #timer = null;
  #silence = null;
  #watched = new Set();
  isReady = false;

  constructor(url) {
    super();
    this.url = url;
    addEventListener("online", () => this.connect());
    // A goodbye would wait for an answer that cannot come.
    addEventListener("offline", () => this.#giveUp());
    document.addEventListener("visibilitychange", () => document.hidden || this.isReady || this.connect());
  }

  // The very first connection is under way: what needs it can wait a moment.
  get isStarting() {
    return !this.isReady && this.#socket !== null && this.#delay === FIRST_DELAY;
  }

  connect() {
    clearTimeout(this.#timer);
    if (this.#socket && this.#socket.readyState <= WebSocket.OPEN) return;
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#listenForSilence();
    socket.onmessage = (event) => this.#socket === socket && this.#take(JSON.parse(event.data));
    socket.onclose = (event) => this.#socket === socket && this.#lost(event.code);
  }

  send(frame) {
    if (!this.isReady) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  // Be told about these conversations (id → the last seq known here), and no others.
  watch(wanted) {
    if (!this.isReady) return;
    for (const [id, seq] of wanted) {
      if (!this.#watched.has(id)) this.send({ type: "watch", conversation: Number(id), after_seq: seq });
    }
    for (const id of this.#watched) {
      if (!wanted.has(id)) this.send({ type: "unwatch", conversation: Number(id) });
    }
    this.#watched = new Set(wanted.keys());
  }

  #take(frame) {
    this.#listenForSilence();
    if (frame.type === "ready") {
      this.isReady = true;
      this.#delay = FIRST_DELAY;
      this.#watched.clear();
    }
    if (frame.type === "ping") {
      this.send({ type: "pong" });
      // The server may have been unable to watch just then; whoever is not named is asked for again.
      this.#watched = new Set([...this.#watched].filter((id) => id in frame.last_seq));
    }
    this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
  }

  #lost(code) {
    this.#socket = null;
    clearTimeout(this.#silence);
    const wasReady = this.isReady;
    this.isReady = false;
    if (code === UNAUTHENTICATED) {
      this.dispatchEvent(new Event("signed-out"));
      return;
    }
    this.dispatchEvent(new CustomEvent("lost", { detail: { wasReady } }));
    // Jitter, so that a restarted server is not met by everybody at once.
    this.#timer = setTimeout(() => this.connect(), this.#delay * (0.5 + Math.random()));
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY);
  }

  #listenForSilence() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#giveUp(), SILENCE);
  }

  #giveUp() {
    const dead = this.#socket;
    if (!dead) return;
    this.#lost(0);
    dead.close();
  }
}
