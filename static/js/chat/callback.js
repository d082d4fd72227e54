/** Instead of waiting at the screen: be called, or written to, when it is one's turn. */

import { ApiError } from "./api.js";
import { busy, ref, say, show, texts } from "./dom.js";

export class CallbackPanel {
  #isOpen = false;

  /** `onAsk({ way, phone })` and `onCancel()` may throw an ApiError, which is shown here. */
  constructor({ store, onAsk, onCancel }) {
    Object.assign(this, { store, onAsk, onCancel });
    this.panel = ref("callback");
    this.form = ref("callback-form");
    ref("callback-open").addEventListener("click", () => this.#open());
    ref("callback-cancel").addEventListener("click", (event) => this.#do(event.currentTarget, () => this.onCancel()));
    ref("callback-back").addEventListener("click", () => this.#close());
    this.form.addEventListener("change", () => this.#drawPhone());
    this.form.addEventListener("input", () => this.tell(""));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  draw(wait) {
    const isAsked = Boolean(wait?.callback);
    const isOffered = Boolean(wait?.offers_callback) && wait.state !== "active";
    if (isAsked) this.#isOpen = false;
    show(this.panel, isAsked || isOffered);
    show(ref("callback-open"), !isAsked && !this.#isOpen);
    show(this.form, !isAsked && this.#isOpen);
    show(ref("callback-cancel"), isAsked);
  }

  tell(words) {
    say(ref("callback-error"), words);
    this.form.elements.phone.setAttribute("aria-invalid", String(Boolean(words)));
  }

  explain(error) {
    if (!(error instanceof ApiError)) throw error;
    const words = [error.fields?.phone ?? []].flat().join(" ") || error.detail;
    this.tell(error.status ? words || texts.startFailed : texts.notReached);
  }

  #open() {
    this.#isOpen = true;
    this.form.elements.phone.value ||= this.store.person.phone ?? "";
    show(ref("callback-open"), false);
    show(this.form, true);
    this.#drawPhone();
    this.form.elements.way[0].focus();
  }

  #close() {
    this.#isOpen = false;
    this.tell("");
    show(this.form, false);
    show(ref("callback-open"), true);
    ref("callback-open").focus();
  }

  #drawPhone() {
    show(ref("callback-phone"), this.form.elements.way.value === "call");
  }

  async #submit() {
    const { way, phone } = this.form.elements;
    const isCall = way.value === "call";
    if (isCall && !phone.value.trim()) {
      this.tell(texts.phoneMissing);
      phone.focus();
      return;
    }
    await this.#do(ref("callback-ask"), () => this.onAsk({ way: way.value, ...(isCall && { phone: phone.value.trim() }) }));
  }

  async #do(button, act) {
    if (button.disabled) return;
    busy(button, true);
    this.tell("");
    try {
      await act();
    } catch (error) {
      this.explain(error);
    } finally {
      busy(button, false);
    }
  }
}
