"use strict";
// Filters the disagreements; everything else on the page works without it.
(() => {
  const form = document.getElementById("filters");
  const cases = [...document.querySelectorAll("#cases > .case")];
  if (!cases.length) return;
  const dataset = document.getElementById("filter-dataset");
  const move = document.getElementById("filter-move");
  const text = document.getElementById("filter-text");
  const shown = document.getElementById("shown");
  const words = new WeakMap();

  const textOf = (each) => {
    if (!words.has(each)) words.set(each, each.textContent.toLowerCase());
    return words.get(each);
  };
  const fits = (each, wanted) =>
    (!dataset.value || each.dataset.dataset === dataset.value) &&
    (!move.value || each.dataset.moves.split(" ").includes(move.value)) &&
    (!wanted || textOf(each).includes(wanted));

  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    let count = 0;
    for (const each of cases) {
      each.hidden = !fits(each, wanted);
      if (!each.hidden) count += 1;
    }
    shown.value = `${count} of ${cases.length}`;
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.hidden = false;
  filter();
})();
