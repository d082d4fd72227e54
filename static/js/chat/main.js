/** Puts the parts together: store and server at one end, the page at the other, and the page around it, if any. */

import { ApiError, ChatApi } from "./api.js";
import { CallbackPanel } from "./callback.js";
import { ChatClient } from "./client.js";
import { Composer } from "./composer.js";
import { busy, options, ref, say, show, texts } from "./dom.js";
import { Surroundings } from "./embed.js";
import { Ending } from "./ended.js";
import { Addresses } from "./files.js";
import { Hours } from "./hours.js";
import { MessageList } from "./messages.js";
import { Attention } from "./sound.js";
import { isLetterBox, StartForm } from "./start.js";
import { Store } from "./store.js";
import { View } from "./view.js";
import { Clock } from "./words.js";

const AVAILABILITY_SECONDS = 30;

const isEmbedded = options.embedded === "true";
// In a frame: the panel is open. On a page of its own it always is.
let isOpen = !isEmbedded;

const store = new Store(options.inbox);
const api = new ChatApi({ base: options.api, inbox: options.inbox });
const client = new ChatClient({ api, store, socketUrl: options.socket.replace(/^\//, `${location.origin.replace(/^http/, "ws")}/`) });
const addresses = new Addresses(api);
const surroundings = isEmbedded
  ? new Surroundings({ allowedOrigins: options.origins.split(" "), onOpened: opened, onClosed: () => (isOpen = false) })
  : null;
const attention = new Attention({ store, onUnread: (count) => surroundings?.unread(count) });
const messages = new MessageList({
  scroller: ref("scroller"),
  list: ref("log"),
  clock: new Clock(options.language, texts),
  addresses,
  onRetry: (id) => client.outbox.retry(id),
  onDiscard: (id) => client.outbox.discard(id),
  onEnlarge: (address, name) => view.enlarge(address, name),
  onSeen: seen,
});
const composer = new Composer({
  api,
  addresses,
  onSend: (message) => client.send(message),
  onTyping: () => client.typing(),
});
const hours = new Hours(options.language, texts);
const start = new StartForm({ store, hours, onStart: begin });
const callback = new CallbackPanel({
  store,
  onAsk: (wish) => client.askCallback(wish),
  onCancel: () => client.cancelCallback(),
});
const ending = new Ending({ onRate: (rating, comment) => client.rate(rating, comment), onAgain: again });
const view = new View({ client, messages, composer, ending, callback, hours, attention });

function isLooking() {
  return isOpen && document.visibilityState === "visible" && messages.isAtEnd;
}

function seen() {
  if (view.screen !== "talk" || !isLooking()) return;
  client.markRead();
  attention.show(client.unread);
}

function opened() {
  isOpen = true;
  seen();
  takeFocus();
}

/** Where one would type. Not on a phone: its keyboard would cover what is to be read first. */
function takeFocus() {
  if (!isOpen || matchMedia("(pointer: coarse)").matches) return;
  if (view.screen === "start") start.focus();
  if (view.screen === "talk" && client.status !== "closed") composer.focus();
}

async function begin(form, wish) {
  await client.start(form);
  enterTalk();
  // The conversation has begun: what is wrong with the wish is told where it can be said again.
  if (wish) await client.askCallback(wish).catch((error) => callback.explain(error));
  composer.focus();
}

function enterTalk() {
  messages.clear();
  ending.clear();
  view.open("talk");
  view.draw();
  surroundings?.session(true);
}

let availabilityTimer = null;

async function enterStart(notice = "") {
  client.leave();
  composer.clear();
  attention.show(0);
  surroundings?.session(false);
  clearTimeout(availabilityTimer);
  start.open(notice);
  await showAvailability();
  view.open("start");
  takeFocus();
}

/** Asked again while the form is open: who is there may change while somebody types. */
async function showAvailability() {
  try {
    const known = await api.availability();
    start.draw(known);
    view.drawAvailability({
      isStaffed: !isLetterBox(known),
      isOpen: known.is_open,
      isFull: known.is_staffed && known.is_full,
    });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Not knowing is no reason to send somebody away.
    if (view.isStaffed === undefined) start.draw({ is_staffed: true, waiting: 0 });
  }
  availabilityTimer = setTimeout(() => view.screen === "start" && showAvailability(), AVAILABILITY_SECONDS * 1000);
}

function again() {
  store.session = null;
  enterStart();
}

function forget() {
  ref("forget-dialog").close();
  store.person = null;
  store.attempt = null;
  again();
}

async function end() {
  const button = ref("end-confirm");
  busy(button, true);
  try {
    await client.end();
    ref("end-dialog").close();
    ref("ended").focus();
  } catch (error) {
    say(ref("end-error"), error.status ? error.detail : texts.notReached);
  } finally {
    busy(button, false);
  }
}

client.addEventListener("change", () => {
  view.draw();
  seen();
  attention.show(client.unread);
});
client.addEventListener("arrived", () => isLooking() || attention.ring());
client.addEventListener("gone", () => {
  store.session = null;
  enterStart(texts.expired);
});

// Another tab started a conversation, or left it.
store.onSession((session) => {
  if (!session) enterStart();
  else if (session.token !== api.token) {
    client.resume(session);
    enterTalk();
  }
});

ref("sound").addEventListener("click", () => {
  attention.toggle();
  view.drawSound();
});
ref("end").addEventListener("click", () => {
  say(ref("end-error"), "");
  ref("end-dialog").showModal();
});
ref("end-cancel").addEventListener("click", () => ref("end-dialog").close());
ref("end-confirm").addEventListener("click", end);
ref("forget").addEventListener("click", () => ref("forget-dialog").showModal());
ref("forget-cancel").addEventListener("click", () => ref("forget-dialog").close());
ref("forget-confirm").addEventListener("click", forget);
ref("reconnect").addEventListener("click", () => client.wake());
ref("close").addEventListener("click", () => surroundings?.close());
document.addEventListener("keydown", (event) => {
  // Escape that closed a menu or a dialog is used up.
  if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) surroundings?.close();
});
window.addEventListener("online", () => client.wake());
window.addEventListener("offline", () => client.lose());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  client.wake();
  seen();
});

show(ref("close"), isEmbedded);
view.drawSound();
if (store.session) {
  client.resume(store.session);
  enterTalk();
} else enterStart();
