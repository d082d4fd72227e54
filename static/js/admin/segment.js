/* A segment's page: the customers are counted by the server while the filter is filled in. */
"use strict";

(() => {
  const WAIT_MS = 400;
  let timer = null;
  let question = null;

  /* Of several answers on their way only the one to the last question is shown. */
  async function count(form, section) {
    question?.abort();
    const own = (question = new AbortController());
    try {
      const answer = await fetch(section.dataset.count, { method: "POST", body: new FormData(form), signal: own.signal });
      if (!answer.ok) throw new Error(String(answer.status));
      // Made and escaped by the server.
      document.getElementById("segment-count").innerHTML = await answer.text();
    } catch (error) {
      if (error.name !== "AbortError") document.getElementById("segment-count").textContent = "…";
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const section = document.getElementById("segment-found");
    const form = section?.closest("form");
    if (!form) return;
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(() => count(form, section), WAIT_MS);
    };
    form.addEventListener("input", later);
    form.addEventListener("change", later);
  });
})();
