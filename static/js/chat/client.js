/**
 * The conversation as this browser knows it: kept true by frames, repaired by `resume`, polled when there is no
 * socket. No DOM. Listen to "change" (draw again), "arrived" (detail: a message just said by the other side) and
 * "gone" (the server does not know the token any more).
 */

import { ApiError } from "./api.js";
import { newId, Outbox } from "./outbox.js";
import { Record } from "./record.js";
import { LiveSocket } from "./socket.js";

const POLL_SECONDS = 15;
const FIRST_POLL_SECONDS = 2;
const GAP_SECONDS = 2;
const TYPING_SENT_SECONDS = 3;
const TYPING_SHOWN_SECONDS = 6;
const NOTHING = { status: null, agentName: null, readSeq: 0, typingName: null, wait: null, canRate: false, rating: null, isLeftMessage: false, isLoaded: false };

export class ChatClient extends EventTarget {
  #socket = null;
  #timers = { poll: null, gap: null, typing: null, wait: null };
  #typedAt = 0;
  #readSent = 0;
  #lastSeqAtReady = 0;
  #generation = 0;

  constructor({ api, store, socketUrl, random = Math.random }) {
    super();
    Object.assign(this, { api, store, socketUrl, random });
    this.#reset();
  }

  get isOnline() {
    return this.#socket?.isOnline ?? false;
  }

  /** What the other side said and nobody here has looked at yet; known across a reload. */
  get unread() {
    return this.record.messages.filter(({ sender, seq }) => sender === "agent" && seq > this.#readSent).length;
  }

  /** Open a conversation. Safe to repeat after a failure: the same start_key finds what is already open. */
  async start(form) {
    const earlier = this.store.attempt;
    const attempt = (this.store.attempt = { start_key: earlier?.start_key ?? newId(), body: form.body });
    const previous = this.store.person.previous_token;
    let answer;
    try {
      answer = await this.api.start({ ...form, ...(previous && { previous_token: previous }), start_key: attempt.start_key });
    } catch (error) {
      // What an attempt of long ago opened may be over by now.
      if (error.code !== "conversation_closed" || !earlier) throw error;
      this.store.attempt = null;
      return this.start(form);
    }
    this.store.attempt = null;
    this.store.person = { name: form.name, email: form.email, phone: form.phone, previous_token: answer.token };
    this.store.session = { token: answer.token, conversation: answer.conversation };
    this.resume(this.store.session);
    if (earlier && earlier.body !== form.body) await this.#sayWhatChanged(form.body);
    return undefined;
  }

  /** Go on with a conversation: after a reload, in a second tab, or just started. */
  resume({ token, conversation, read = 0 }) {
    this.leave();
    this.#readSent = read;
    this.api.token = token;
    this.conversation = conversation;
    this.outbox = new Outbox({
      store: this.store,
      conversation,
      sendLive: (frame) => this.#socket.send(frame),
      sendSlow: (entry) => this.api.send(entry),
      onSent: (entry, { seq, at }) => this.#add({ ...entry, seq, at, sender: "customer", name: "" }),
      onChange: () => this.#changed(),
    });
    this.#socket = new LiveSocket({
      url: this.socketUrl,
      hello: () => ({ type: "auth", token, after_seq: this.record.last }),
      onFrame: (frame) => this.#receive(frame),
      onChange: () => this.#connectionChanged(),
      onRefused: () => this.#gone(),
      random: this.random,
    });
    this.#socket.open();
    this.#pollAfter(FIRST_POLL_SECONDS);
  }

  /** Stop all that goes on; what is stored in the browser stays. */
  leave() {
    this.#generation += 1;
    this.#socket?.close();
    this.#socket = null;
    this.outbox?.stop();
    Object.values(this.#timers).forEach(clearTimeout);
    this.api.token = null;
    this.#reset();
  }

  send(message) {
    this.outbox.add(message);
  }

  typing(now = Date.now()) {
    if (now - this.#typedAt < TYPING_SENT_SECONDS * 1000 || this.status !== "active") return;
    if (this.#socket?.send({ type: "typing" })) this.#typedAt = now;
  }

  /** The customer has seen everything up to here. */
  async markRead() {
    const seq = this.record.lastFromAgent;
    if (seq <= this.#readSent) return;
    this.#readSent = seq;
    this.store.session = { ...this.store.session, read: seq };
    // A mark that is lost is overtaken by the next one.
    if (!this.#socket?.send({ type: "read", seq })) await this.api.read(seq).catch(() => {});
  }

  async end() {
    await this.api.end();
    await this.refresh();
  }

  /** Not to wait at the screen; the place in line is kept. */
  async askCallback(wish) {
    await this.api.callback(wish);
    if (wish.phone) this.store.person = { ...this.store.person, phone: wish.phone };
    await this.refresh();
  }

  async cancelCallback() {
    await this.api.cancelCallback();
    await this.refresh();
  }

  async rate(rating, comment) {
    await this.api.rate(rating, comment);
    await this.refresh();
  }

  wake() {
    this.#socket?.wake();
  }

  lose() {
    this.#socket?.lose();
  }

  /** Where the conversation stands: who answers, or how long the line is. */
  async refresh() {
    return this.#asking(async () => {
      const { status, agent_name, read_seq, can_rate, rating, is_left_message } = await this.api.conversation();
      const wait = status === "waiting" ? await this.api.wait() : null;
      return { status, agentName: agent_name, readSeq: read_seq, canRate: can_rate, rating, isLeftMessage: is_left_message, wait };
    });
  }

  #reset() {
    this.record = new Record();
    this.outbox = null;
    this.#typedAt = this.#readSent = 0;
    Object.assign(this, { conversation: null, ...NOTHING });
  }

  #receive(frame) {
    const handle = {
      ready: () => this.#ready(frame),
      replay: () => this.#replay(frame),
      resync: () => this.#fetchMissing(),
      message: () => this.#arrived(frame),
      ack: () => this.outbox.confirm(frame.client_msg_id, frame),
      error: () => frame.client_msg_id && this.outbox.refuse(frame.client_msg_id, frame),
      ping: () => this.#compare(frame.last_seq?.[this.conversation] ?? 0),
      typing: () => frame.sender === "agent" && this.#showTyping(frame.name),
      read: () => frame.side === "agent" && this.#set({ readSeq: Math.max(this.readSeq, frame.seq) }),
      "conversation.changed": () => this.refresh(),
      "queue.changed": () => this.#waitChanged(),
    }[frame.type];
    handle?.();
  }

  #ready({ status, agent_name, read_seq, last_seq }) {
    this.#lastSeqAtReady = last_seq;
    this.#set({ status, agentName: agent_name, readSeq: read_seq ?? 0 });
    this.refresh();
    this.outbox.flush();
  }

  #replay({ messages, last_seq }) {
    messages.forEach((message) => this.#add(message));
    // Its lines tell of changes whose own frame may be lost just the same.
    if (this.isLoaded && messages.some(({ sender }) => sender === "system")) this.refresh();
    this.#compare(last_seq);
    if (this.record.last >= this.#lastSeqAtReady) this.#set({ isLoaded: true });
  }

  #arrived(message) {
    if (this.#add(message) && message.sender !== "customer") this.#announce(message);
    this.#compare(message.seq);
  }

  /** One door for every message, whichever way it came: kept once, in order. */
  #add(message) {
    const isNew = this.record.add(message);
    if (message.sender === "agent") this.#showTyping(null);
    if (message.client_msg_id && message.sender === "customer") this.outbox.confirm(message.client_msg_id, message);
    if (isNew) this.#changed();
    return isNew;
  }

  /** The other side knows more than we do: ask for it, and again if the answer is lost as well. */
  #compare(lastSeq) {
    clearTimeout(this.#timers.gap);
    if (lastSeq <= this.record.last && !this.record.hasGap) return;
    this.#socket?.send({ type: "resume", after_seq: this.record.last });
    this.#timers.gap = setTimeout(() => this.#compare(lastSeq), GAP_SECONDS * 1000);
  }

  async #fetchMissing() {
    return this.#asking(async () => {
      const wasLoaded = this.isLoaded;
      let answer;
      do {
        answer = await this.api.messages(this.record.last);
        for (const message of answer.results) {
          if (this.#add(message) && wasLoaded && message.sender !== "customer") this.#announce(message);
        }
      } while (answer.results.length && this.record.last < answer.last_seq);
      return { isLoaded: true, status: answer.status };
    });
  }

  /** Asks the server; applies the answer unless the conversation was left meanwhile. */
  async #asking(question) {
    const generation = this.#generation;
    try {
      const news = await question();
      if (generation === this.#generation) this.#set(news);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (generation === this.#generation && [401, 403].includes(error.status)) this.#gone();
      return false;
    }
  }

  #connectionChanged() {
    if (!this.isOnline) {
      this.outbox?.lose();
      this.#pollAfter(FIRST_POLL_SECONDS);
    }
    this.#changed();
  }

  #pollAfter(seconds) {
    clearTimeout(this.#timers.poll);
    this.#timers.poll = setTimeout(() => this.#poll(), seconds * 1000);
  }

  /** Without a socket the news is fetched; with one, only the place in line is looked after. */
  async #poll() {
    const generation = this.#generation;
    if (!this.isOnline) {
      if (await this.#fetchMissing()) {
        await this.refresh();
        this.outbox?.flush();
      }
    } else if (this.status === "waiting") await this.refresh();
    if (generation === this.#generation) this.#pollAfter(POLL_SECONDS);
  }

  /** Everybody in line hears it at once, so everybody asks a little later, at a time of their own. */
  #waitChanged() {
    clearTimeout(this.#timers.wait);
    this.#timers.wait = setTimeout(() => this.refresh(), this.random() * 1000);
  }

  #showTyping(name) {
    clearTimeout(this.#timers.typing);
    if (name) this.#timers.typing = setTimeout(() => this.#showTyping(null), TYPING_SHOWN_SECONDS * 1000);
    this.#set({ typingName: name });
  }

  /** An earlier try may have been stored with other words: what was written since must not be lost. */
  async #sayWhatChanged(body) {
    const { results } = await this.api.messages(0);
    if (results[0]?.body !== body) this.send({ body, attachments: [] });
  }

  #gone() {
    this.leave();
    this.dispatchEvent(new Event("gone"));
  }

  #announce(message) {
    this.dispatchEvent(new CustomEvent("arrived", { detail: message }));
  }

  #set(news) {
    const isNew = Object.entries(news).some(([name, value]) => this[name] !== value);
    Object.assign(this, news);
    if (isNew) this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
