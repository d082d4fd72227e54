// Writing: drafts that survive switching and reloading, reply or note, files, Enter, and sending that never sends twice.

import { $, $$, csrfToken, openConversation, store, text, toast } from "./page.js";
import * as canned from "./canned.js";

const ACK_SECONDS = 5;
const TYPING_SECONDS = 3;

let socket = null;
let typedAt = 0;
// What is on its way, by client_msg_id; in the order in which it was written.
const unsent = new Map();
// Files that wait for their message, by conversation: the chips of the composer.
const waitingFiles = new Map();

const field = () => $(".composer__text");
const form = () => $("#compose");
const mode = () => form().dataset.mode;
const draftKey = (kind = mode()) => `draft.${openConversation()}.${kind}`;

export function start(deskSocket) {
  socket = deskSocket;
  document.addEventListener("submit", (event) => event.target === form() && submit(event));
  document.addEventListener("input", (event) => event.target === field() && typed());
  document.addEventListener("keydown", (event) => event.target === field() && pressed(event));
  document.addEventListener("change", (event) => event.target.type === "file" && pick(event.target));
  document.addEventListener("paste", (event) => event.target === field() && paste(event));
  document.addEventListener("click", clicked);
  dropFiles();
  canned.start(insert);
}

let arranged = null;

// A conversation was shown, or its composer anew (it may have been closed, or passed on, meanwhile).
export function arrange() {
  if (form() === arranged) return;
  arranged = form();
  if (!arranged) return;
  const mayWrite = arranged.dataset.mayWrite === "true";
  setMode(mayWrite ? store.get(`mode.${openConversation()}`, "reply") : "note", { keep: true });
  $("#files").replaceChildren(...(waitingFiles.get(openConversation()) ?? []));
  drawPending();
}

export function focus() {
  field()?.focus();
}

export function toggleMode() {
  if ($("[data-mode-choice]")) {
    setMode(mode() === "note" ? "reply" : "note");
    focus();
  }
}

function setMode(kind, { keep = false } = {}) {
  const box = form();
  if (!keep) store.set(draftKey(), field().value);
  box.dataset.mode = kind;
  box.action = kind === "note" ? box.dataset.noteUrl : box.dataset.replyUrl;
  store.set(`mode.${openConversation()}`, kind === "reply" ? null : kind);
  for (const button of $$("[data-mode-choice]")) button.setAttribute("aria-pressed", String(button.dataset.modeChoice === kind));
  field().placeholder = field().dataset[`${kind}Placeholder`];
  const draft = store.get(draftKey(), "");
  if (field().value !== draft) field().value = draft;
  grow();
}

function typed() {
  store.set(draftKey(), field().value);
  grow();
  canned.follow(field(), mode());
  const now = Date.now();
  if (mode() === "reply" && field().value && now - typedAt > TYPING_SECONDS * 1000) {
    typedAt = now;
    socket.send({ type: "typing", conversation: Number(openConversation()) });
  }
}

// Browsers that do not size a field by its content yet are helped.
function grow() {
  if (CSS.supports("field-sizing", "content")) return;
  field().style.height = "auto";
  field().style.height = `${field().scrollHeight + 2}px`;
}

function pressed(event) {
  if (event.isComposing || canned.pressed(event)) return;
  if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    form().requestSubmit();
  }
  if (event.key === "Escape") {
    event.stopPropagation();
    $("#thread").focus();
  }
}

function clicked(event) {
  const choice = event.target.closest("[data-mode-choice]");
  if (choice && choice.dataset.modeChoice !== mode()) {
    setMode(choice.dataset.modeChoice);
    focus();
  }
  if (event.target.closest("#open-canned")) canned.open(field());
  if (event.target.closest(".chip__remove")) {
    event.target.closest("[data-attachment]").remove();
    keepFiles(openConversation());
  }
  const again = event.target.closest("[data-do]");
  if (again) answerFailed(again.dataset.do, again.closest("[data-pending]").dataset.pending);
}

// A canned reply takes the place of the slash that opened it.
function insert(words, from) {
  const box = field();
  box.focus();
  box.setRangeText(words, from, box.selectionEnd, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

// Sending

function submit(event) {
  event.preventDefault();
  const body = field().value;
  const files = mode() === "reply" ? $$("#files [data-attachment]") : [];
  if (!body.trim() && !files.length) return;
  if (mode() === "note") return void addNote(body);
  const message = {
    id: crypto.randomUUID(),
    conversation: openConversation(),
    url: form().dataset.replyUrl,
    body,
    attachments: files.map((file) => file.dataset.attachment),
    names: files.map((file) => file.dataset.name),
    isFailed: false,
  };
  unsent.set(message.id, message);
  for (const file of files) file.remove();
  keepFiles(openConversation());
  clear();
  drawPending();
  deliver(message);
}

function clear() {
  field().value = "";
  grow();
  store.set(draftKey(), null);
}

async function addNote(body) {
  const url = form().dataset.noteUrl;
  const tail = $("#tail");
  clear();
  const response = await post(url, { body, after: tail.dataset.seq, note: tail.dataset.note });
  if (response?.ok) htmx.trigger(tail.isConnected ? tail : $("#tail"), "desk:behind");
  else {
    toast(response ? text("failed") : text("server_away"), "danger");
    if (!field().value) insert(body, 0);
  }
}

function deliver(message) {
  const frame = {
    type: "message",
    conversation: Number(message.conversation),
    client_msg_id: message.id,
    body: message.body,
    attachments: message.attachments,
  };
  if (!socket.send(frame)) return void deliverByForm(message);
  message.timer = setTimeout(() => deliverByForm(message), ACK_SECONDS * 1000);
}

// The same client_msg_id by another road: if the first one arrived after all, it is not stored twice.
async function deliverByForm(message) {
  clearTimeout(message.timer);
  if (!unsent.has(message.id)) return;
  const fields = new URLSearchParams({ body: message.body, client_msg_id: message.id });
  for (const id of message.attachments) fields.append("attachments", id);
  const response = await post(message.url, fields);
  if (response?.ok) acknowledged(message.id);
  else if (!response && !socket.isReady) waits(message);
  else failed(message.id, response ? refusal(response, text("failed")) : "");
}

async function post(url, fields) {
  const headers = { "X-CSRFToken": csrfToken(), "HX-Request": "true" };
  try {
    return await fetch(url, { method: "POST", body: new URLSearchParams(fields), headers, signal: AbortSignal.timeout(10000) });
  } catch {
    return null;
  }
}

export function acknowledged(id) {
  const message = unsent.get(id);
  if (!message) return;
  clearTimeout(message.timer);
  message.isStored = true;
  if (message.conversation === openConversation() && $("#tail")) htmx.trigger($("#tail"), "desk:behind");
  else unsent.delete(id);
}

// Nothing is wrong with it: it goes as soon as the connection is back.
function waits(message) {
  message.isWaiting = true;
  drawPending();
}

export function failed(id, detail = "") {
  const message = unsent.get(id);
  if (!message) return;
  clearTimeout(message.timer);
  message.isFailed = true;
  message.detail = detail;
  drawPending();
}

// After a lost connection: what was sent into nothing goes again, under its old id.
export function resend() {
  for (const message of unsent.values()) {
    if (message.isStored || message.detail) continue;
    message.isFailed = message.isWaiting = false;
    deliver(message);
  }
  drawPending();
}

function answerFailed(what, id) {
  const message = unsent.get(id);
  if (!message) return;
  if (what === "discard") {
    unsent.delete(id);
    if (!field().value) insert(message.body, 0);
  } else {
    message.isFailed = false;
    message.detail = "";
    deliver(message);
  }
  drawPending();
}

// Under the thread: what this browser has said and the thread does not show yet.
export function drawPending() {
  const list = $("#outbox");
  if (!list) return;
  for (const shown of $$("#messages [data-client-msg-id]")) unsent.delete(shown.dataset.clientMsgId);
  list.replaceChildren();
  for (const message of unsent.values()) if (message.conversation === openConversation()) list.append(bubble(message));
}

function bubble(message) {
  const item = $("#pending-template").content.firstElementChild.cloneNode(true);
  item.dataset.pending = message.id;
  $(".msg__bubble", item).textContent = [message.body, ...message.names.map((name) => `📎 ${name}`)].filter(Boolean).join("\n");
  item.classList.toggle("msg--failed", message.isFailed);
  $(".msg__state", item).textContent = message.isFailed
    ? message.detail || text("failed")
    : text(message.isWaiting ? "waiting" : "sending");
  for (const button of $$("[data-do]", item)) button.hidden = !message.isFailed;
  return item;
}

addEventListener("beforeunload", (event) => {
  if ([...unsent.values()].some((message) => !message.isStored)) event.preventDefault();
});

// Files

function pick(input) {
  for (const file of input.files) upload(file);
  input.value = "";
}

function paste(event) {
  const files = [...event.clipboardData.files];
  if (!files.length || mode() !== "reply") return;
  event.preventDefault();
  files.forEach(upload);
}

function dropFiles() {
  const isOver = (event) => event.target.closest?.("#compose") && mode() === "reply";
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // a file dropped beside the field must not replace the desk
    form()?.classList.toggle("is-target", Boolean(isOver(event)));
  });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    form()?.classList.remove("is-target");
    if (isOver(event)) [...event.dataTransfer.files].forEach(upload);
  });
}

function keepFiles(conversation) {
  waitingFiles.set(conversation, [...$("#files").children]);
}

async function upload(file) {
  if (!$("#attach")) return toast(text("no_files"), "danger");
  const conversation = openConversation();
  const body = new FormData();
  body.append("file", file);
  const headers = { "X-CSRFToken": csrfToken(), "HX-Request": "true" };
  form().setAttribute("aria-busy", "true");
  try {
    const response = await fetch(form().dataset.uploadUrl, { method: "POST", body, headers });
    if (response.ok) addFile(conversation, await response.text());
    else toast(refusal(response, text("upload_failed")), "danger");
  } catch {
    toast(text("upload_failed"), "danger");
  } finally {
    form()?.removeAttribute("aria-busy");
  }
}

// Whoever went on to another customer meanwhile finds it when he comes back.
function addFile(conversation, html) {
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  const chip = holder.content.firstElementChild;
  if (conversation === openConversation() && $("#files")) {
    $("#files").append(chip);
    keepFiles(conversation);
  } else waitingFiles.set(conversation, [...(waitingFiles.get(conversation) ?? []), chip]);
}

// A refusal of the desk's views carries its words in the header that HTMX would have read.
function refusal(response, otherwise) {
  try {
    return JSON.parse(response.headers.get("HX-Trigger"))["desk:toast"].text;
  } catch {
    return otherwise;
  }
}
