// The desk: frames of the socket become DOM events, and the fragments on the page listen for them (hx-trigger).

import { DeskSocket } from "./socket.js";
import { $, $$, emit, openConversation, say, store, text, toast } from "./page.js";
import * as bell from "./bell.js";
import * as clocks from "./clocks.js";
import * as composer from "./composer.js";
import * as keys from "./keys.js";
import * as thread from "./thread.js";

const title = document.title;
const heardOffers = new Set();
const socket = new DeskSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/desk/`);

// Frames

const TAKE = {
  ready: () => back(),
  ping: (frame) => {
    Object.entries(frame.last_seq).forEach(([id, seq]) => thread.heardOf(id, seq));
    watch();
  },
  message: (frame) => message(frame),
  replay: (frame) => replayed(frame),
  resync: (frame) => thread.heardOf(frame.conversation, frame.last_seq ?? Infinity),
  ack: (frame) => composer.acknowledged(frame.client_msg_id),
  error: (frame) => frame.client_msg_id && composer.failed(frame.client_msg_id, frame.detail),
  typing: (frame) => frame.sender === "customer" && thread.typing(frame),
  "note.added": (frame) => thread.noted(frame.conversation, frame.note),
  read: (frame) => frame.side === "customer" && thread.readByCustomer(frame.conversation, frame.seq),
  "notice.put": () => bell.chime(),
  reauth: () => location.reload(),
};

socket.addEventListener("frame", ({ detail: frame }) => {
  TAKE[frame.type]?.(frame);
  emit(`frame:${frame.type}`, frame);
  if (frame.conversation) emit(`frame:${frame.type}:${frame.conversation}`, frame);
});

function message(frame) {
  thread.note(frame.conversation, frame.seq);
  if (frame.sender !== "customer") return;
  if (String(frame.conversation) === openConversation()) thread.stopTyping();
  if (String(frame.conversation) === openConversation() && document.hasFocus()) return;
  const row = $(`#row-${frame.conversation}`);
  bell.chime();
  bell.notify(row?.dataset.name ?? text("new_message"), frame.body, `message-${frame.conversation}`, () => row?.click());
}

function replayed(frame) {
  if (!frame.messages.length) return;
  thread.heardOf(frame.conversation, frame.last_seq);
  emit("desk:list");
}

// The connection

let bar = null;

socket.addEventListener("lost", () => {
  if (document.documentElement.dataset.connected === "no") return;
  document.documentElement.dataset.connected = "no";
  clearTimeout(bar);
  // A blink is nobody's business.
  bar = setTimeout(() => showConnection(text("offline"), false), 1200);
});
socket.addEventListener("signed-out", () => location.assign($("#desk").dataset.signIn));

let wasReadyOnce = false;

function back() {
  clearTimeout(bar);
  document.documentElement.dataset.connected = "yes";
  const box = $("#connection");
  if (!box.hidden && !box.classList.contains("is-back")) {
    showConnection(text("online"), true);
    bar = setTimeout(() => (box.hidden = true), 2500);
  }
  $("#presence").classList.remove("is-cut-off");
  watch();
  thread.markRead();
  // What was missed meanwhile is fetched, and what could not be sent goes now.
  if (wasReadyOnce) {
    emit("desk:changed");
    emit("desk:notices");
    composer.resend();
  }
  wasReadyOnce = true;
}

function showConnection(words, isBack) {
  const box = $("#connection");
  $("span", box).textContent = words;
  box.classList.toggle("is-back", isBack);
  box.hidden = false;
  $("#presence").classList.toggle("is-cut-off", !isBack);
}

function watch() {
  const wanted = new Map();
  for (const element of $$("[data-watch]")) wanted.set(element.dataset.watch, Number(element.dataset.seq));
  socket.watch(wanted);
}

// After each swap the page is looked over once

function settle() {
  clocks.setClock($("#presence")?.dataset.serverNow);
  for (const row of $$("[data-row]")) {
    if (row.dataset.row === openConversation()) row.setAttribute("aria-current", "page");
    else row.removeAttribute("aria-current");
  }
  for (const fold of $$("details.fold")) fold.open = store.get(fold.id, !("closed" in fold.dataset));
  clocks.tick();
  ring();
  countUnread();
}

function ring() {
  const cards = $$("[data-offer]");
  for (const card of cards) {
    if (heardOffers.has(card.dataset.offer)) continue;
    heardOffers.add(card.dataset.offer);
    card.classList.add("is-new");
    bell.notify(`${text("new_offer")}: ${card.dataset.name}`, card.dataset.words, `offer-${card.dataset.offer}`);
  }
  if (cards.length) bell.startRinging();
  else bell.stopRinging();
}

function countUnread() {
  const unread = $$("#list .row-item .count").reduce((sum, badge) => sum + Number(badge.textContent), 0);
  const number = unread + $$("[data-offer]").length;
  const name = $("#stage")?.dataset.name;
  document.title = (number ? `(${number}) ` : "") + (name ? title.replace(/^[^·]*/, `${name} `) : title);
}

let shownStage = null;

function stageSettled() {
  const stage = $("#stage");
  if (stage === shownStage) return;
  shownStage = stage;
  const id = openConversation();
  showPage(id ? "conversation" : "list");
  if (!id) return;
  thread.opened();
  say($("#main").getAttribute("aria-label"));
  if (matchMedia("(min-width: 48rem)").matches) composer.focus();
}

document.body.addEventListener("htmx:afterSettle", (event) => {
  // First, so that what is told about a conversation (read, typing) comes after the wish to hear of it.
  watch();
  stageSettled();
  const target = event.detail.target;
  if (target?.id === "tail") {
    composer.drawPending();
    thread.grown();
  }
  if (target?.id === "dialog-body") openDialog();
  settle();
});

// At once and not after settling: what somebody types meanwhile belongs to his draft.
document.body.addEventListener("htmx:afterSwap", () => composer.arrange());

document.body.addEventListener("htmx:beforeSwap", (event) => {
  // Earlier messages grow upwards: what one reads stays where it is.
  if (event.detail.target.id !== "earlier") return;
  event.detail.shouldSwap = false;
  thread.keepPlace(() => {
    event.detail.target.outerHTML = event.detail.serverResponse;
    htmx.process($("#thread"));
  });
});

// A fragment may be exchanged while a button in it waits for its answer: what that answer makes happen must not be lost.
document.body.addEventListener("htmx:beforeSend", ({ detail: { elt, xhr } }) => {
  // Before htmx has the answer: it may be the answer that takes the button away, and then nothing is lost.
  xhr.addEventListener("readystatechange", () => {
    if (xhr.readyState !== XMLHttpRequest.DONE || elt.isConnected) return;
    const happens = xhr.getResponseHeader("HX-Trigger");
    if (happens) Object.entries(JSON.parse(happens)).forEach(([name, detail]) => emit(name, detail ?? {}));
  });
});

document.body.addEventListener("desk:read", countUnread);
document.body.addEventListener("desk:toast", (event) => toast(event.detail.text, event.detail.kind));
document.body.addEventListener("htmx:sendError", (event) => isAsked(event) && toast(text("server_away"), "danger"));
document.body.addEventListener("htmx:timeout", (event) => isAsked(event) && toast(text("server_away"), "danger"));
document.body.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 500 && isAsked(event)) toast(text("server_away"), "danger");
});
// Fragments that look again by themselves fail silently: the bar says that the connection is gone.
const isAsked = (event) => ["click", "submit"].includes(event.detail.requestConfig?.triggeringEvent?.type);

// Dialogs, menus, pages

function openDialog() {
  const dialog = $("#dialog");
  if (!dialog.open) dialog.showModal();
  ($("[autofocus]", dialog) ?? $("input:not([disabled]), button", dialog))?.focus();
}

// The conversation that is open already is only brought to the front.
document.addEventListener(
  "click",
  (event) => {
    const row = event.target.closest("[data-row]");
    if (!row || row.dataset.row !== openConversation() || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    showPage("conversation");
    composer.focus();
  },
  true,
);

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) $(opener.dataset.open).showModal();
  if (event.target.closest("[data-close]") || event.target.matches("dialog")) event.target.closest("dialog").close();
  const page = event.target.closest("[data-page-to]");
  if (page) turnPage(event, page.dataset.pageTo);
  for (const menu of $$("details.dropdown[open]")) if (!menu.contains(event.target) || event.target.closest(".menu__item")) menu.open = false;
  const scope = event.target.closest("[data-scope]");
  if (scope) showScope(scope.dataset.scope);
  const theme = event.target.closest("[data-theme-choice]");
  if (theme) {
    window.emlTheme.set(theme.dataset.themeChoice);
    showTheme();
  }
});

// What looks again by itself does so only while it is on the screen.
$("#dialog").addEventListener("close", () => $("#dialog [data-live]") && $("#dialog-body").replaceChildren());

// One target or the other: a queue unchecks the colleague, and back.
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-target]")) return;
  for (const other of $$("[data-target]")) if (other !== event.target) other.checked = false;
});

document.body.addEventListener("htmx:beforeRequest", (event) => {
  // The dialog closes when its form is sent; a refusal becomes a toast.
  if (event.detail.requestConfig.verb === "post" && !event.target.matches("[data-stays]")) event.target.closest("#dialog")?.close();
});

document.body.addEventListener("htmx:beforeSwap", (event) => {
  // One that would lose what was written in it stays until its form is taken, and shows why it is not.
  if (event.detail.requestConfig.elt.matches("[data-stays]") && event.detail.target.id !== "dialog-body") $("#dialog").close();
});

document.addEventListener("toggle", (event) => event.target.matches?.("details.fold") && store.set(event.target.id, event.target.open), true);

function showPage(page) {
  $("#desk").dataset.page = page;
}

function turnPage(event, page) {
  event.preventDefault();
  const current = $("#desk").dataset.page;
  showPage(page === "details" && current === "details" ? "conversation" : page);
  if (page === "list") $(`#row-${openConversation()}`)?.focus();
}

function showScope(scope) {
  store.set("scope", scope === "mine" ? null : scope);
  for (const button of $$("[data-scope]")) button.setAttribute("aria-pressed", String(button.dataset.scope === scope));
  $("#list").hidden = scope === "team";
  $("#team").hidden = scope !== "team";
  if (scope === "team") htmx.trigger("#team", "desk:team");
}

function showTheme() {
  for (const button of $$("[data-theme-choice]")) button.setAttribute("aria-pressed", String(button.dataset.themeChoice === window.emlTheme.get()));
}

// What supervisors see of others comes by no frame of theirs: they look every few seconds.
setInterval(() => $("#team") && !$("#team").hidden && !document.hidden && htmx.trigger("#team", "desk:team"), 5000);

// Drafts of conversations long gone are not kept for ever.
function sweepDrafts() {
  const known = new Set($$("[data-row]").map((row) => row.dataset.row).concat(openConversation() ?? []));
  for (const key of store.keys("draft.").concat(store.keys("mode."))) if (!known.has(key.split(".")[3])) localStorage.removeItem(key);
}

composer.start(socket);
thread.start(socket);
bell.start();
keys.start();
showTheme();
composer.arrange();
stageSettled();
settle();
clocks.start();
sweepDrafts();
if ($("[data-scope]") && store.get("scope")) showScope(store.get("scope"));
socket.connect();
