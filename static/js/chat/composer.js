/** Where the customer writes: Enter sends, Shift+Enter makes a line; files by button, paste or drop. */

import { ref, say, show } from "./dom.js";
import { Tray } from "./files.js";

export class Composer {
  // Enter was pressed while a file was still on its way.
  #isDue = false;

  constructor({ api, addresses, onSend, onTyping }) {
    Object.assign(this, { onSend, onTyping });
    this.form = ref("composer");
    this.input = ref("input");
    this.button = ref("send");
    this.note = ref("composer-note");
    const onChange = () => this.#filesChanged();
    const onError = (text) => this.#say(text);
    this.tray = new Tray({ api, addresses, element: ref("tray"), onChange, onError });
    this.#listen();
    this.#update();
  }

  focus() {
    this.input.focus();
  }

  clear() {
    this.input.value = "";
    this.tray.clear();
    this.#update();
  }

  #listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.input.addEventListener("keydown", (event) => {
      // While an input method composes a character, Enter belongs to it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.input.addEventListener("input", () => {
      this.#update();
      if (this.input.value) this.onTyping();
    });
    this.#listenForFiles();
  }

  #listenForFiles() {
    const picker = ref("picker");
    ref("attach").addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      this.#add(picker.files);
      picker.value = "";
    });
    this.input.addEventListener("paste", (event) => {
      const files = [...event.clipboardData.files];
      // A word processor puts a picture of the words beside the words: the words are meant.
      if (!files.length || event.clipboardData.types.includes("text/plain")) return;
      event.preventDefault();
      this.#add(files);
    });
    this.#listenForDrops(ref("talk"));
  }

  #listenForDrops(zone) {
    const holdsFiles = (event) => event.dataTransfer?.types.includes("Files") && !this.form.hidden;
    let depth = 0;
    const mark = (change) => {
      depth = change === 0 ? 0 : depth + change;
      show(ref("drop"), depth > 0);
    };
    zone.addEventListener("dragenter", (event) => holdsFiles(event) && mark(1));
    zone.addEventListener("dragleave", (event) => holdsFiles(event) && mark(-1));
    zone.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
    zone.addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      mark(0);
      this.#add(event.dataTransfer.files);
    });
  }

  #add(files) {
    this.#say("");
    this.tray.add([...files]);
    this.focus();
  }

  #filesChanged() {
    if (this.tray.hasFailed) this.#isDue = false;
    this.#update();
    if (this.#isDue && !this.tray.isBusy) this.#send();
  }

  #send() {
    if (this.button.disabled) return;
    this.#isDue = this.tray.isBusy;
    if (this.#isDue) return this.#update();
    this.onSend({ body: this.input.value.trim(), attachments: this.tray.take() });
    this.input.value = "";
    this.#say("");
    this.#update();
    return this.focus();
  }

  #update() {
    this.button.disabled = !this.input.value.trim() && this.tray.isEmpty;
    this.button.setAttribute("aria-busy", String(this.#isDue));
    // Grows with its text; the style sheet sets the limit.
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight + 2}px`;
  }

  #say(text) {
    say(this.note, text);
    show(this.note, Boolean(text));
  }
}
