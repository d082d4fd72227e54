/** Before the first message: who writes, and what. When nobody is there, it becomes a letter box. */

import { busy, element, ref, say, show, texts } from "./dom.js";
import { fill } from "./words.js";

/** Nobody is there, or so many wait that a message is better. */
export function isLetterBox({ is_staffed: isStaffed, is_full: isFull, offers_callback: isCallOffered }) {
  return !isStaffed || (isFull && !isCallOffered);
}

export class StartForm {
  #isLetterBox = false;
  #isCallOffered = false;

  /** `onStart(form, callback)` may throw an ApiError, which is shown here. */
  constructor({ store, hours, onStart }) {
    Object.assign(this, { store, hours, onStart });
    this.form = ref("start-form");
    this.button = ref("start-button");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.form.addEventListener("input", (event) => this.#mark(event.target, ""));
    this.form.addEventListener("change", () => this.#drawPhone());
    const { body } = this.form.elements;
    body.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
  }

  /** Fill in what this browser knows, and what was typed before an attempt that failed. */
  open(notice = "") {
    const { name, email, phone } = this.store.person;
    for (const [field, value] of Object.entries({ name, email, phone })) {
      this.form.elements[field].value ||= value ?? "";
    }
    this.form.elements.body.value ||= this.store.attempt?.body ?? "";
    this.#tell("start-notice", notice);
    this.#tell("start-error", "");
  }

  /** From what the server says of the line; nothing is known while it cannot be reached. */
  draw(known) {
    this.#isLetterBox = isLetterBox(known);
    this.#isCallOffered = this.#isLetterBox && known.offers_callback;
    show(ref("staffed"), !this.#isLetterBox);
    show(ref("away"), this.#isLetterBox);
    show(ref("waiting-now"), !this.#isLetterBox && known.waiting > 0);
    say(ref("waiting-number"), String(known.waiting));
    say(ref("waiting-time"), known.estimate ? "· " + fill(texts.expected, { range: this.hours.range(known.estimate) }) : "");
    show(ref("full-now"), known.is_full === true);
    say(ref("start-label"), this.#isLetterBox ? texts.leave : texts.start);
    if (this.#isLetterBox) this.#drawAway(known);
    show(ref("call-choice"), this.#isCallOffered);
    this.#drawPhone();
  }

  #drawAway({ is_open: isOpen, is_staffed: isStaffed, closed_because, opens_at, openings }) {
    say(ref("away-title"), isOpen ? texts.leaveTitle : texts.closedTitle);
    say(ref("away-hours"), isOpen ? "" : this.hours.closed({ closed_because, opens_at }));
    show(ref("away-hours"), !isOpen);
    show(ref("away-text"), isOpen && !isStaffed);
    show(ref("away-full"), isOpen && isStaffed);
    const days = isOpen ? [] : this.hours.days(openings);
    show(ref("opening-hours"), days.length > 0);
    ref("opening-days").replaceChildren(
      ...days.flatMap(({ day, hours }) => [element("dt", day), element("dd", hours)]),
    );
  }

  /** Optional in a letter box, needed by who wants to be called. */
  #drawPhone() {
    show(ref("phone-field"), this.#isLetterBox);
    show(ref("phone-optional"), !this.#isCallWanted);
  }

  get #isCallWanted() {
    return this.#isCallOffered && this.form.elements.way.value === "call";
  }

  focus() {
    const { name, body } = this.form.elements;
    (name.value ? body : name).focus();
  }

  async #submit() {
    if (this.button.disabled || !this.#isComplete()) return;
    busy(this.button, true);
    this.#tell("start-error", "");
    try {
      await this.#start(this.#values());
      this.form.reset();
    } catch (error) {
      this.#explain(error);
    } finally {
      busy(this.button, false);
    }
  }

  async #start({ time_zone, language, ...typed }) {
    const callback = this.#isCallWanted ? { way: "call", phone: typed.phone } : null;
    try {
      await this.onStart({ ...typed, time_zone, language }, callback);
    } catch (error) {
      // A browser may know a zone the server does not: nobody is turned away for that.
      if (!error.fields?.time_zone && !error.fields?.language) throw error;
      await this.onStart(typed, callback);
    }
  }

  #values() {
    const language = /^[a-z]{2,3}(-[a-z0-9]{1,6})?/i.exec(navigator.language)?.[0] ?? "";
    const values = { time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone ?? "", language };
    for (const [name, value] of new FormData(this.form)) {
      if (value.trim()) values[name] = value.trim();
    }
    delete values.way;
    if (this.#isLetterBox) values.leave_message = true;
    else delete values.phone;
    return values;
  }

  #isComplete() {
    const { name, body, email, phone } = this.form.elements;
    this.#mark(phone, this.#isCallWanted && !phone.value.trim() ? texts.phoneMissing : "");
    this.#mark(name, name.value.trim() ? "" : texts.nameMissing);
    this.#mark(body, body.value.trim() ? "" : texts.bodyMissing);
    this.#mark(email, email.validity.valid ? "" : texts.emailWrong);
    const wrong = [name, email, phone, body].find((control) => control.getAttribute("aria-invalid") === "true");
    wrong?.focus();
    return !wrong;
  }

  #explain(error) {
    const fields = Object.entries(error.fields ?? {}).filter(([name]) => this.form.elements[name]);
    for (const [name, words] of fields) this.#mark(this.form.elements[name], [words].flat().join(" "));
    if (fields.length) this.form.elements[fields[0][0]].focus();
    else this.#tell("start-error", error.status ? error.detail || texts.startFailed : texts.notReached);
  }

  #mark(control, words) {
    const message = this.form.querySelector(`#${control.id}-error`);
    if (!message) return;
    control.setAttribute("aria-invalid", String(Boolean(words)));
    say(message, words);
    show(message, Boolean(words));
  }

  #tell(name, words) {
    say(ref(`${name}-text`), words);
    show(ref(name), Boolean(words));
  }
}
