/** Draws attention to a new message: a soft sound, and a number in the title of the tab. */

export class Attention {
  #context = null;
  #title = document.title;
  #unread = 0;

  /** `onUnread(number)` tells whoever shows a number elsewhere (the launcher of the widget). */
  constructor({ store, onUnread }) {
    Object.assign(this, { store, onUnread });
    // Browsers allow sound only after the person did something on the page.
    for (const kind of ["pointerdown", "keydown"]) {
      document.addEventListener(kind, () => this.#prepare(), { once: true, capture: true });
    }
  }

  get isMuted() {
    return this.store.isMuted;
  }

  toggle() {
    this.store.isMuted = !this.store.isMuted;
    if (!this.isMuted) this.#play();
  }

  ring() {
    if (!this.isMuted) this.#play();
  }

  show(unread) {
    if (unread === this.#unread) return;
    this.#unread = unread;
    document.title = unread ? `(${unread}) ${this.#title}` : this.#title;
    this.onUnread(unread);
  }

  #prepare() {
    this.#context ??= window.AudioContext ? new AudioContext() : null;
  }

  #play() {
    const context = this.#context;
    if (!context) return;
    context.resume();
    [660, 880].forEach((frequency, index) => note(context, frequency, context.currentTime + index * 0.12));
  }
}

function note(context, frequency, at) {
  const tone = context.createOscillator();
  const volume = context.createGain();
  tone.frequency.value = frequency;
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.12, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.28);
  tone.connect(volume).connect(context.destination);
  tone.start(at);
  tone.stop(at + 0.3);
}
