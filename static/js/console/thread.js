// The thread: stays at its end, knows what the customer has read, shows who types.

import { $, $$, csrfToken, openConversation, text } from "./page.js";

const NEAR = 120;
const TYPING_SHOWN = 4500;

let socket = null;
let wasAtEnd = true;
let typingTimer = null;
const toldRead = new Map();
// The newest seq heard of, by conversation: from messages and pings.
const newest = new Map();
const newestNote = new Map();

const box = () => $("#thread");
const isAtEnd = () => !box() || box().scrollHeight - box().scrollTop - box().clientHeight < NEAR;

export function start(deskSocket) {
  socket = deskSocket;
  document.addEventListener("scroll", (event) => event.target === box() && scrolled(), true);
  document.addEventListener("click", (event) => event.target.closest("#to-end") && toEnd());
  addEventListener("focus", markRead);
  document.addEventListener("visibilitychange", markRead);
  // Late pictures push the end away.
  document.addEventListener("load", (event) => event.target.closest?.("#thread") && wasAtEnd && toEnd(), true);
}

function scrolled() {
  wasAtEnd = isAtEnd();
  $("#to-end").hidden = wasAtEnd;
  if (wasAtEnd) markRead();
}

export function toEnd() {
  if (!box()) return;
  box().scrollTop = box().scrollHeight;
  wasAtEnd = true;
  $("#to-end").hidden = true;
  markRead();
}

// A conversation was shown.
export function opened() {
  wasAtEnd = true;
  toldRead.delete(openConversation());
  showRead();
  toEnd();
}

// Its thread grew (by a fragment that the tail fetched, or by what is being sent).
export function grown() {
  showRead();
  if (wasAtEnd) toEnd();
  else $("#to-end").hidden = false;
  const tail = $("#tail");
  const id = openConversation();
  const isBehind = (newest.get(id) ?? 0) > Number(tail?.dataset.seq) || (newestNote.get(id) ?? 0) > Number(tail?.dataset.note);
  if (tail && isBehind) htmx.trigger(tail, "desk:behind");
}

export function noted(conversation, note) {
  newestNote.set(String(conversation), Math.max(note, newestNote.get(String(conversation)) ?? 0));
}

export function keepPlace(change) {
  const list = box();
  const fromEnd = list.scrollHeight - list.scrollTop;
  change();
  list.scrollTop = list.scrollHeight - fromEnd;
}

// The newest message of a conversation, from its own frame: the tail listens for that itself.
export function note(conversation, seq) {
  const id = String(conversation);
  if (seq > (newest.get(id) ?? 0)) newest.set(id, seq);
  return id;
}

// The same from a ping or a replay: if the frame of that message was lost, the thread looks again now.
export function heardOf(conversation, seq) {
  const id = note(conversation, seq);
  const tail = $("#tail");
  if (id === openConversation() && tail && seq > Number(tail.dataset.seq)) htmx.trigger(tail, "desk:behind");
}

export function readByCustomer(conversation, seq) {
  if (String(conversation) !== openConversation()) return;
  box().dataset.read = Math.max(seq, Number(box().dataset.read));
  showRead();
}

function showRead() {
  const read = Number(box()?.dataset.read ?? 0);
  for (const message of $$(".msg--out[data-seq]")) message.classList.toggle("is-read", Number(message.dataset.seq) <= read);
}

// What is on the screen of somebody who looks at it is read.
export function markRead() {
  const id = openConversation();
  const seq = Number($("#tail")?.dataset.seq ?? 0);
  if (!id || !seq || document.hidden || !document.hasFocus() || !isAtEnd() || (toldRead.get(id) ?? 0) >= seq) return;
  if ($("#compose")?.dataset.mayWrite !== "true") return;
  toldRead.set(id, seq);
  $(`#row-${id} .count`)?.remove();
  $(`#row-${id}`)?.classList.remove("row-item--unread");
  document.body.dispatchEvent(new Event("desk:read"));
  if (!socket.send({ type: "read", conversation: Number(id), seq })) {
    toldRead.delete(id);
    if (socket.isStarting) return; // `ready` is near, and asks again
    const headers = { "X-CSRFToken": csrfToken(), "HX-Request": "true" };
    fetch($("#compose").dataset.readUrl, { method: "POST", body: new URLSearchParams({ seq }), headers })
      .then((response) => response.ok && toldRead.set(id, seq))
      .catch(() => {}); // offline; it is told after the reconnect
  }
}

export function typing(frame) {
  const words = $(`#row-${frame.conversation} [data-typing]`);
  if (words && !words.classList.contains("is-typing")) {
    const before = words.textContent;
    words.textContent = text("typing", { name: "" }).trim();
    words.classList.add("is-typing");
    setTimeout(() => {
      words.textContent = before;
      words.classList.remove("is-typing");
    }, TYPING_SHOWN);
  }
  if (String(frame.conversation) !== openConversation()) return;
  const line = $("#typing");
  $("span:last-child", line).textContent = text("typing", { name: $("#stage").dataset.name });
  line.hidden = false;
  if (wasAtEnd) toEnd();
  clearTimeout(typingTimer);
  typingTimer = setTimeout(stopTyping, TYPING_SHOWN);
}

export function stopTyping() {
  clearTimeout(typingTimer);
  const line = $("#typing");
  if (line) line.hidden = true;
}
