/** One live connection that comes back by itself. Knows frames and time, nothing of what is said. */

const LONGEST_SILENCE_SECONDS = 25; // The server pings every 10 s: two lost pings and a bit.
const READY_SECONDS = 10;
const UNAUTHENTICATED = 4401;

export class LiveSocket {
  #socket = null;
  #attempts = 0;
  #retry = null;
  #watchdog = null;
  #isWanted = false;
  isOnline = false;

  /**
   * `hello()` gives the first frame; `onFrame(frame)` gets each one; `onChange()` is called when isOnline changes;
   * `onRefused()` when the server does not know the token (no reconnect then).
   */
  constructor({ url, hello, onFrame, onChange, onRefused, WebSocketClass = WebSocket, random = Math.random }) {
    Object.assign(this, { url, hello, onFrame, onChange, onRefused, WebSocketClass, random });
  }

  open() {
    this.#isWanted = true;
    this.#connect();
  }

  close() {
    this.#isWanted = false;
    this.#drop();
  }

  /** False when there is no connection to send by. */
  send(frame) {
    if (!this.isOnline) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** The network or the page woke up: do not wait for the next attempt. */
  wake() {
    if (!this.#isWanted || this.isOnline) return;
    this.#attempts = 0;
    this.#connect();
  }

  /** The network is gone: what looks connected is not. */
  lose() {
    if (!this.#isWanted) return;
    this.#drop();
    this.#connectLater();
  }

  #connect() {
    this.#drop();
    const socket = (this.#socket = new this.WebSocketClass(this.url));
    this.#watch(READY_SECONDS);
    socket.onopen = () => socket.send(JSON.stringify(this.hello()));
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#closed(event.code);
  }

  #receive(data) {
    this.#watch(LONGEST_SILENCE_SECONDS);
    const frame = JSON.parse(data);
    if (frame.type === "ready") {
      this.#attempts = 0;
      this.#setOnline(true);
    }
    if (frame.type === "ping") this.send({ type: "pong" });
    if (frame.type === "reauth") this.#socket.send(JSON.stringify(this.hello()));
    this.onFrame(frame);
  }

  #closed(code) {
    this.#drop();
    if (code === UNAUTHENTICATED) {
      this.#isWanted = false;
      this.onRefused();
    } else if (this.#isWanted) this.#connectLater();
  }

  /** 0.5–5 s, doubling up to 15 s: after a restart not everybody comes back in the same second. */
  #connectLater() {
    const seconds = Math.min(15, (0.5 + this.random() * 4.5) * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 5);
    this.#retry = setTimeout(() => this.#connect(), seconds * 1000);
  }

  #watch(seconds) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.lose(), seconds * 1000);
  }

  #drop() {
    clearTimeout(this.#retry);
    clearTimeout(this.#watchdog);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.#setOnline(false);
  }

  #setOnline(isOnline) {
    if (this.isOnline === isOnline) return;
    this.isOnline = isOnline;
    this.onChange();
  }
}
