// Canned replies: "/" opens them, typing filters, arrows choose, Enter or Tab inserts. Placeholders are filled already.

import { $, $$ } from "./page.js";

let insert = null;
let from = 0;
let asked = 0;
// One list for each conversation's composer, asked for once: the box it fills → its text, still on its way or here.
const lists = new WeakMap();

const box = () => $("#canned");
const isOpen = () => box() && !box().hidden;
const shown = () => $$(".canned__item", box()).filter((item) => !item.hidden);
const chosen = () => $('.canned__item[aria-selected="true"]', box());

export function start(onInsert) {
  insert = onInsert;
  document.addEventListener("mousedown", (event) => {
    const item = event.target.closest(".canned__item");
    if (item) {
      event.preventDefault(); // keep the caret where it is
      take(item);
    } else if (isOpen() && !event.target.closest("#canned, #open-canned")) close();
  });
}

export async function open(field) {
  from = field.selectionStart;
  field.focus();
  await show("");
}

// The word behind a slash at the beginning of the text or after a space.
export function follow(field, mode) {
  const before = field.value.slice(0, field.selectionStart);
  const match = mode === "reply" ? before.match(/(?:^|\s)\/([\p{L}\p{N}_-]*)$/u) : null;
  if (!match) return close();
  from = before.length - match[1].length - 1;
  return show(match[1]);
}

async function show(word) {
  const list = box();
  if (!list) return;
  const mine = ++asked;
  if (!lists.has(list)) lists.set(list, fill(list, $("#compose").dataset.cannedUrl));
  const isThere = await lists.get(list);
  if (!isThere) lists.delete(list);
  // Typed on, chosen or closed while it loaded: a list that comes too late stays away.
  if (!isThere || mine !== asked || box() !== list) return;
  filter(word.toLowerCase());
  list.hidden = false;
  $("#open-canned")?.setAttribute("aria-expanded", "true");
}

async function fill(list, url) {
  try {
    const response = await fetch(url, { headers: { "HX-Request": "true" } });
    if (response.ok) list.innerHTML = await response.text();
    return response.ok;
  } catch {
    return false; // offline: the next slash asks again
  }
}

function filter(word) {
  for (const item of $$(".canned__item", box())) {
    item.hidden = !item.dataset.key.split(" ").some((part) => part.startsWith(word));
  }
  $(".canned__none", box()).hidden = shown().length > 0;
  choose(shown()[0]);
}

function choose(item) {
  for (const other of $$(".canned__item", box())) other.setAttribute("aria-selected", String(other === item));
  item?.scrollIntoView({ block: "nearest" });
  const field = $(".composer__text");
  if (item) field.setAttribute("aria-activedescendant", item.id);
  else field.removeAttribute("aria-activedescendant");
}

function take(item) {
  close();
  insert(item.dataset.text, from);
}

export function close() {
  asked += 1;
  if (!isOpen()) return;
  box().hidden = true;
  $("#open-canned")?.setAttribute("aria-expanded", "false");
  $(".composer__text")?.removeAttribute("aria-activedescendant");
}

// True when the key was for the list.
export function pressed(event) {
  if (!isOpen()) return false;
  const items = shown();
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && items.length) choose(items[(items.indexOf(chosen()) + step + items.length) % items.length]);
  else if ((event.key === "Enter" || event.key === "Tab") && chosen() && !event.shiftKey) take(chosen());
  else if (event.key === "Escape") close();
  else return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}
