// Everything that counts: time since, time left, and the clock at the customer's.

import { $, $$, emit } from "./page.js";

let offset = 0;
let heard = null;

// The server's clock decides; a laptop's may be minutes off.
export function setClock(serverNow) {
  if (!serverNow || serverNow === heard) return;
  heard = serverNow;
  offset = Date.parse(serverNow) - Date.now();
}

const now = () => Date.now() + offset;
const two = (number) => String(number).padStart(2, "0");

export function asClock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)}`;
  if (s < 86400) return `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))} h`;
  return `${Math.floor(s / 86400)} d`;
}

function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

export function tick() {
  for (const element of $$("[data-since]")) {
    const seconds = (now() - Date.parse(element.dataset.since)) / 1000;
    write(element, asClock(seconds));
    if (element.dataset.late) {
      element.classList.toggle("is-late", seconds >= Number(element.dataset.late));
      element.classList.toggle("is-warn", seconds >= Number(element.dataset.warn) && seconds < Number(element.dataset.late));
    }
  }
  for (const element of $$("[data-until]")) countDown(element);
  for (const card of $$("[data-ends]")) turnRing(card);
  for (const element of $$("[data-clock]")) {
    const options = { timeZone: element.dataset.clock, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    write(element, new Intl.DateTimeFormat(document.documentElement.lang, options).format(new Date(now())));
  }
}

function countDown(element) {
  const left = (Date.parse(element.dataset.until) - now()) / 1000;
  write(element, asClock(Math.ceil(left)));
  if (left < -0.5 && !element.dataset.isOver) {
    element.dataset.isOver = "yes";
    // The server's timer ends it within a second; its frame may be lost.
    if (element.dataset.refresh) setTimeout(() => emit(element.dataset.refresh), 1500);
  }
}

function turnRing(card) {
  const left = (Date.parse(card.dataset.ends) - now()) / 1000;
  // The ring moves towards where it will be in a second, at an even speed.
  const share = Math.max(0, Math.min(1, (left - 1) / Number(card.dataset.total)));
  $(".ring__left", card).style.setProperty("--left", (share * 100).toFixed(1));
  card.classList.toggle("is-urgent", left < 5);
  if (left < -1 && !card.dataset.isOver) {
    card.dataset.isOver = "yes";
    emit("desk:changed");
  }
}

export function start() {
  tick();
  setInterval(tick, 1000);
}
