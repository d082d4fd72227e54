/** Attachments on the customer's side: chosen, dropped or pasted; uploaded with progress; shown when received. */

import { copy, options, ref, show, texts } from "./dom.js";
import { fileSize, fill } from "./words.js";

// What browsers draw without running anything: no SVG.
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MOST_FILES = 10;

export function isPicture(file) {
  return PICTURES.includes(file.content_type ?? file.type);
}

/** The tray above the text: files that go with the next message. */
export class Tray {
  #items = [];

  constructor({ api, element, onChange, onError, addresses }) {
    Object.assign(this, { api, element, onChange, onError, addresses });
  }

  get isBusy() {
    return this.#items.some((item) => !item.done && !item.failed);
  }

  get hasFailed() {
    return this.#items.some((item) => item.failed);
  }

  get isEmpty() {
    return this.#items.every((item) => item.failed);
  }

  add(files) {
    for (const file of files) {
      const most = Number(options.maxBytes);
      if (this.#items.length >= MOST_FILES) this.onError(fill(texts.tooManyFiles, { n: MOST_FILES }));
      else if (file.size > most) this.onError(fill(texts.fileTooBig, { name: file.name, size: fileSize(most, options.language) }));
      else this.#upload(this.#newItem(file));
    }
    this.onChange();
  }

  /** Hands over what is uploaded and starts again with an empty tray. */
  take() {
    const taken = this.#items.filter((item) => item.done);
    this.#items = this.#items.filter((item) => !item.done);
    taken.forEach((item) => item.element.remove());
    show(this.element, this.#items.length > 0);
    return taken.map((item) => item.done);
  }

  clear() {
    this.#items.forEach((item) => item.abort.abort());
    this.#items = [];
    this.element.replaceChildren();
    show(this.element, false);
  }

  #newItem(file) {
    const element = copy("chat-tray-item");
    const item = { file, element, abort: new AbortController(), address: null, done: null, failed: false };
    ref("name", element).textContent = file.name;
    if (isPicture(file)) {
      item.address = ref("thumbnail", element).src = URL.createObjectURL(file);
      show(ref("thumbnail", element), true);
      show(ref("icon", element), false);
    }
    ref("remove", element).setAttribute("aria-label", fill(texts.removeFile, { name: file.name }));
    ref("remove", element).addEventListener("click", () => this.#remove(item));
    ref("retry", element).addEventListener("click", () => this.#upload(item));
    this.#items.push(item);
    this.element.append(element);
    show(this.element, true);
    return item;
  }

  async #upload(item) {
    const note = ref("note", item.element);
    this.#mark(item, false);
    note.textContent = fileSize(item.file.size, options.language);
    try {
      const onProgress = (part) => (ref("progress", item.element).style.width = `${Math.round(part * 100)}%`);
      item.done = await this.api.upload(item.file, { onProgress, signal: item.abort.signal });
      if (item.address) this.addresses.keep(item.done.id, item.address);
      show(ref("bar", item.element), false);
    } catch (error) {
      if (item.abort.signal.aborted) return;
      this.#mark(item, true);
      note.textContent = error.detail || texts.uploadFailed;
      show(ref("retry", item.element), error.isPassing);
    }
    this.onChange();
  }

  #mark(item, failed) {
    item.failed = failed;
    item.element.classList.toggle("tray__item--failed", failed);
    show(ref("bar", item.element), !failed);
    show(ref("retry", item.element), false);
  }

  #remove(item) {
    item.abort.abort();
    item.element.remove();
    this.#items = this.#items.filter((other) => other !== item);
    show(this.element, this.#items.length > 0);
    this.onChange();
  }
}

/** Local addresses of files, fetched once each: the server gives files only to who shows the token. */
export class Addresses {
  #known = new Map();

  constructor(api) {
    this.api = api;
  }

  keep(id, address) {
    this.#known.set(id, Promise.resolve(address));
  }

  get(id) {
    if (!this.#known.has(id)) {
      const address = this.api.file(id).then((blob) => URL.createObjectURL(blob));
      // A failed try is forgotten, so that the next click tries again.
      address.catch(() => this.#known.delete(id));
      this.#known.set(id, address);
    }
    return this.#known.get(id);
  }
}

/** An attachment inside a bubble: a picture to enlarge, or a file to save. */
export function attachmentElement(file, addresses, onEnlarge) {
  return isPicture(file) ? picture(file, addresses, onEnlarge) : download(file, addresses);
}

function picture(file, addresses, onEnlarge) {
  const element = copy("chat-picture");
  const image = ref("image", element);
  image.alt = file.name;
  element.setAttribute("aria-label", fill(texts.enlarge, { name: file.name }));
  addresses.get(file.id).then(
    (address) => ((image.src = address), element.classList.remove("skeleton")),
    () => element.replaceWith(download(file, addresses)),
  );
  element.addEventListener("click", () => image.src && onEnlarge(image.src, file.name));
  return element;
}

function download(file, addresses) {
  const element = copy("chat-file");
  const note = ref("note", element);
  ref("name", element).textContent = file.name;
  note.textContent = fileSize(file.size, options.language);
  element.addEventListener("click", async () => {
    try {
      const link = document.createElement("a");
      Object.assign(link, { href: await addresses.get(file.id), download: file.name });
      link.click();
    } catch {
      note.textContent = texts.downloadFailed;
    }
  });
  return element;
}
