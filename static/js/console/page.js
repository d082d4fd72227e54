// What all modules need: texts in the reader's language, remembered settings, toasts, words for screen readers.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const texts = JSON.parse($("#desk-texts").textContent);

export function text(name, values = {}) {
  return texts[name].replace(/%\((\w+)\)s/g, (_, key) => values[key] ?? "");
}

export const store = {
  get(key, otherwise = null) {
    try {
      const value = localStorage.getItem(`eml.desk.${key}`);
      return value === null ? otherwise : JSON.parse(value);
    } catch {
      return otherwise;
    }
  },
  set(key, value) {
    try {
      if (value === null || value === "") localStorage.removeItem(`eml.desk.${key}`);
      else localStorage.setItem(`eml.desk.${key}`, JSON.stringify(value));
    } catch {
      // Full or forbidden: the setting holds until the next page.
    }
  },
  keys(prefix) {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(`eml.desk.${prefix}`));
    } catch {
      return [];
    }
  },
};

export function toast(words, kind = "info", seconds = 6) {
  const box = $("#toast-template").content.firstElementChild.cloneNode(true);
  box.classList.add(`toast--${kind}`);
  box.firstElementChild.textContent = words;
  $(".toast__close", box).addEventListener("click", () => box.remove());
  $("#toasts").append(box);
  setTimeout(() => box.remove(), seconds * 1000);
}

export function say(words) {
  $("#speaker").textContent = words;
}

export function emit(name, detail = {}) {
  document.body.dispatchEvent(new CustomEvent(name, { detail }));
}

export const openConversation = () => $("#stage")?.dataset.conversation ?? null;

export const csrfToken = () => JSON.parse($("#desk").getAttribute("hx-headers"))["X-CSRFToken"];

export const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
