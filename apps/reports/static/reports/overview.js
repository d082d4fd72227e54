// The charts of the admin's overview. The figures arrive as data of #charts-data, at first and with every refresh.
(() => {
  const charts = {};

  const css = (name) => getComputedStyle(document.querySelector(".overview")).getPropertyValue(name).trim();
  const tone = (name) => css(`--tone-${name.replaceAll("_", "-")}`);

  function colours(id, dataset) {
    if (id === "hours-chart") return tone(dataset.tone);
    return dataset.tones.map((state) => tone(state === "offered" ? "being-rung" : state));
  }

  function options(id) {
    const isHours = id === "hours-chart";
    const numbers = { beginAtZero: true, ticks: { color: css("--quiet"), precision: 0 }, grid: { color: css("--line") }, border: { display: false } };
    const names = { ticks: { color: css("--quiet"), autoSkipPadding: 16, maxRotation: 0 }, grid: { display: false }, border: { display: false } };
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      indexAxis: isHours ? "x" : "y",
      interaction: { mode: "index", axis: isHours ? "x" : "y", intersect: false },
      datasets: { bar: { borderRadius: 3, maxBarThickness: isHours ? 14 : 18, categoryPercentage: 0.75, barPercentage: 0.9 } },
      plugins: { legend: { display: isHours, align: "end", labels: { color: css("--quiet"), boxWidth: 8, boxHeight: 8, usePointStyle: true } } },
      scales: isHours ? { x: names, y: numbers } : { x: numbers, y: { ...names, ticks: { color: css("--quiet"), autoSkip: false } } },
    };
  }

  function draw(id, data) {
    const canvas = document.getElementById(id);
    const isEmpty = data.datasets.every((dataset) => dataset.data.every((value) => value === 0));
    canvas.parentElement.hidden = isEmpty;
    document.querySelector(`[data-empty-for="${id}"]`).hidden = !isEmpty;
    for (const dataset of data.datasets) dataset.backgroundColor = colours(id, dataset);
    if (isEmpty) return;
    if (charts[id]) {
      charts[id].data = data;
      charts[id].options = options(id);
      charts[id].update();
    } else {
      charts[id] = new Chart(canvas, { type: "bar", data, options: options(id) });
    }
  }

  function show() {
    const facts = document.getElementById("charts-data");
    if (!facts) return;
    draw("hours-chart", JSON.parse(facts.dataset.hoursChart));
    draw("states-chart", JSON.parse(facts.dataset.statesChart));
  }

  document.addEventListener("DOMContentLoaded", () => {
    Chart.defaults.font.family = "Inter";
    show();
    // Canvases do not follow style sheets: draw again when the theme changes.
    new MutationObserver(show).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    document.body.addEventListener("htmx:afterSettle", show);
  });
})();
