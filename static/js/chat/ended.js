/** After the end: how was it, once; and the way to a new conversation. */

import { busy, ref, say, show, texts } from "./dom.js";

export class Ending {
  constructor({ onRate, onAgain }) {
    this.onRate = onRate;
    this.form = ref("rating");
    this.button = ref("rate");
    this.form.addEventListener("change", () => this.#chosen());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    ref("again").addEventListener("click", onAgain);
  }

  draw({ canRate, rating }) {
    show(this.form, canRate && !rating);
    show(ref("thanks"), Boolean(rating));
    if (rating) say(ref("thanks-stars"), "★".repeat(rating) + "☆".repeat(5 - rating));
  }

  clear() {
    this.form.reset();
    show(ref("rating-more"), false);
    say(ref("rating-word"), texts.rateHint);
    say(ref("rating-error"), "");
  }

  #chosen() {
    const rating = this.#rating();
    say(ref("rating-word"), texts[`rate${rating}`]);
    show(ref("rating-more"), true);
  }

  async #send() {
    busy(this.button, true);
    say(ref("rating-error"), "");
    try {
      await this.onRate(this.#rating(), this.form.elements.comment.value.trim());
      ref("again").focus();
    } catch (error) {
      say(ref("rating-error"), error.status ? error.detail : texts.notReached);
    } finally {
      busy(this.button, false);
    }
  }

  #rating() {
    return Number(new FormData(this.form).get("rating"));
  }
}
