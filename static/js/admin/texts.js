/* The editor of a template's texts: a preview made by the server beside each text, a test to oneself, placeholders. */
"use strict";

(() => {
  const PARTS = { email: ["subject", "body", "html"], sms: ["body"], in_app: ["subject", "body"] };
  const WAIT_MS = 350;
  const section = () => document.getElementById("texts");
  let focused = null;

  const field = (card, name) => card.querySelector(`[name="${card.dataset.prefix}-${name}"]`);

  function showParts(card) {
    // Users have no number, so there is nobody to send a test SMS to.
    card.querySelector("[data-test]").hidden = field(card, "way").value === "sms";
    const parts = PARTS[field(card, "way").value] ?? [];
    for (const part of card.querySelectorAll("[data-part]")) part.hidden = !parts.includes(part.dataset.part);
  }

  function written(card) {
    const data = new FormData();
    const parts = PARTS[field(card, "way").value] ?? [];
    for (const name of ["way", "language", ...parts]) data.append(name, field(card, name).value);
    data.append("customer", document.querySelector('#texts [name="customer"]').value);
    data.append("csrfmiddlewaretoken", document.querySelector("[name=csrfmiddlewaretoken]").value);
    return data;
  }

  /* Of several answers on their way only the one to the last question is shown. */
  async function ask(card, path) {
    card.question?.abort();
    if (!field(card, "language").value.trim()) return; // a card that was only just added
    const question = (card.question = new AbortController());
    try {
      const answer = await fetch(path, { method: "POST", body: written(card), signal: question.signal });
      if (answer.status !== 200 && answer.status !== 400) throw new Error(String(answer.status));
      const html = await answer.text();
      // Made and escaped by the server; the text's own HTML is in a frame that may do nothing.
      if (card.question === question) card.querySelector(".text-card__preview").innerHTML = html;
    } catch (error) {
      if (error.name !== "AbortError") card.querySelector(".text-card__preview").textContent = "…";
    }
  }

  const preview = (card) => ask(card, section().dataset.preview);

  function later(card) {
    clearTimeout(card.timer);
    card.timer = setTimeout(() => preview(card), WAIT_MS);
  }

  function begin(card) {
    showParts(card);
    card.addEventListener("input", () => later(card));
    card.addEventListener("change", (event) => {
      if (event.target === field(card, "way")) showParts(card);
      if (event.target === field(card, "DELETE")) card.classList.toggle("text-card--gone", event.target.checked);
      later(card);
    });
    card.addEventListener("focusin", (event) => {
      if (event.target.matches("textarea, input[type=text]") && event.target !== field(card, "language")) focused = event.target;
    });
    card.querySelector("[data-test]").addEventListener("click", () => ask(card, section().dataset.test));
    preview(card);
  }

  function add() {
    const total = document.querySelector('[name="texts-TOTAL_FORMS"]');
    const holder = document.createElement("div");
    holder.innerHTML = document.getElementById("text-empty").innerHTML.replaceAll("__prefix__", total.value);
    const card = holder.firstElementChild;
    total.value = Number(total.value) + 1;
    document.getElementById("text-cards").append(card);
    begin(card);
    field(card, "way").focus();
  }

  function insert(name) {
    if (!name || !focused?.isConnected) return;
    focused.setRangeText(name, focused.selectionStart, focused.selectionEnd, "end");
    focused.focus();
    focused.dispatchEvent(new Event("input", { bubbles: true }));
  }

  document.addEventListener("DOMContentLoaded", () => {
    if (!section()) return;
    const cards = () => document.querySelectorAll("#text-cards > .text-card");
    cards().forEach(begin);
    document.getElementById("add-text").addEventListener("click", add);
    // Pressed, not clicked: the field that is being written in keeps its cursor.
    section().addEventListener("mousedown", (event) => event.target.closest("[data-insert]") && event.preventDefault());
    section().addEventListener("click", (event) => insert(event.target.closest("[data-insert]")?.dataset.insert));
    // select2 tells jQuery only.
    window.django?.jQuery('#texts [name="customer"]').on("change", () => cards().forEach(preview));
  });
})();
