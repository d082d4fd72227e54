/** The few things every part of the page needs: parts by name, copies of <template>s, texts, icons. */

const root = document.getElementById("chat");

export const options = root.dataset;

/** The element with data-ref="name". */
export function ref(name, within = root) {
  return within.querySelector(`[data-ref="${name}"]`);
}

export function copy(templateId) {
  return document.getElementById(templateId).content.firstElementChild.cloneNode(true);
}

/** Texts that are put in by program, translated in templates/chat/texts.html. */
export const texts = document.getElementById("chat-texts").dataset;

/** Changes the DOM only where it differs: live regions speak on every change. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

export function busy(button, isBusy) {
  button.disabled = isBusy;
  button.setAttribute("aria-busy", String(isBusy));
}

export function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}
