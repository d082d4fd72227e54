// The desk by keyboard alone. Alt with a letter works everywhere; single keys only outside of fields, and can be switched off.

import { $, $$, isTyping, store } from "./page.js";
import * as composer from "./composer.js";

const click = (selector) => () => $(selector)?.click();

function move(step) {
  const rows = $$("[data-row]").filter((row) => row.offsetParent);
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.getAttribute("aria-current") === "page");
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : (at + step + rows.length) % rows.length;
  rows[next].click();
}

function openPresence() {
  const menu = $("#presence-menu");
  menu.open = !menu.open;
  if (menu.open) $(".menu__item", menu).focus();
}

function openCanned() {
  composer.focus();
  $("#open-canned")?.click();
}

function openShortcuts() {
  const dialog = $("#shortcuts");
  if (!dialog.open) dialog.showModal();
}

const WITH_ALT = {
  KeyA: click("[data-accept]"),
  KeyD: click("[data-decline]"),
  KeyP: openPresence,
  KeyT: click("#do-transfer"),
  KeyC: click("#do-close"),
  KeyF: click("#do-follow-ups"),
  KeyL: click("#do-later"),
  KeyW: click("#do-done"),
  KeyG: click("#do-tags"),
  KeyN: composer.toggleMode,
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
};

const SINGLE = {
  j: () => move(1),
  k: () => move(-1),
  r: composer.focus,
  "/": openCanned,
  "?": openShortcuts,
};

export function start() {
  document.addEventListener("keydown", pressed);
  const box = $('[data-setting-switch="single_keys"]');
  box.checked = store.get("single_keys", true);
  box.addEventListener("change", () => store.set("single_keys", box.checked));
}

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey) return;
  const dialog = $("dialog[open]");
  // What rings can be answered from inside a dialog too, which is left for it.
  if (dialog && !(event.altKey && ["KeyA", "KeyD"].includes(event.code) && $("[data-offer]"))) return;
  dialog?.close();
  const menu = event.target.closest?.("details.dropdown[open]");
  if (menu && menuPressed(event, menu)) return;
  const action = event.altKey
    ? WITH_ALT[event.code]
    : !isTyping(event.target) && store.get("single_keys", true) && SINGLE[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function menuPressed(event, menu) {
  const items = $$(".menu__item, .segmented button", menu);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") {
    menu.open = false;
    $("summary", menu).focus();
  } else if (step && !event.altKey) {
    const at = items.indexOf(document.activeElement);
    items[(at + step + items.length) % items.length].focus();
  } else return false;
  event.preventDefault();
  return true;
}
