/** Before the first message: who writes, and what. When nobody is signed in, it becomes a letter box. */

import { busy, ref, say, show, texts } from "./dom.js";

export class StartForm {
  #isStaffed = true;

  /** `onStart(form)` may throw an ApiError, which is shown here. */
  constructor({ store, onStart }) {
    Object.assign(this, { store, onStart });
    this.form = ref("start-form");
    this.button = ref("start-button");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.form.addEventListener("input", (event) => this.#mark(event.target, ""));
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

  draw({ isStaffed, waiting }) {
    this.#isStaffed = isStaffed;
    show(ref("staffed"), isStaffed);
    show(ref("away"), !isStaffed);
    show(ref("phone-field"), !isStaffed);
    show(ref("waiting-now"), isStaffed && waiting > 0);
    say(ref("waiting-number"), String(waiting));
    say(ref("start-label"), isStaffed ? texts.start : texts.leave);
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
    try {
      await this.onStart({ ...typed, time_zone, language });
    } catch (error) {
      // A browser may know a zone the server does not: nobody is turned away for that.
      if (!error.fields?.time_zone && !error.fields?.language) throw error;
      await this.onStart(typed);
    }
  }

  #values() {
    const language = /^[a-z]{2,3}(-[a-z0-9]{1,6})?/i.exec(navigator.language)?.[0] ?? "";
    const values = { time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone ?? "", language };
    for (const [name, value] of new FormData(this.form)) {
      if (value.trim()) values[name] = value.trim();
    }
    if (!this.#isStaffed) values.leave_message = true;
    else delete values.phone;
    return values;
  }

  #isComplete() {
    const { name, body, email } = this.form.elements;
    this.#mark(name, name.value.trim() ? "" : texts.nameMissing);
    this.#mark(body, body.value.trim() ? "" : texts.bodyMissing);
    this.#mark(email, email.validity.valid ? "" : texts.emailWrong);
    const wrong = [name, email, body].find((control) => control.getAttribute("aria-invalid") === "true");
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
