// The shell: which view is shown stands in the address, so that every view can be linked and reloaded.

import { keepKey, readKey } from "./api.js";
import { announce, errorNote, fill, h, note, openDialog } from "./dom.js";
import { showAsk } from "./ask.js";
import { showCompare } from "./compare.js";
import { showDocuments } from "./documents.js";
import { showModels } from "./models.js";
import { showSearch } from "./search.js";

const VIEWS = {
  ask: ["Ask", showAsk],
  compare: ["Compare", showCompare],
  documents: ["Documents", showDocuments],
  search: ["Search", showSearch],
  runs: ["Runs", loadRuns],
  models: ["Models", showModels],
};

/** A view that is not part of the first one: its modules come when it is asked for. */
async function loadRuns(main, place) {
  const { showRuns } = await import("./runs.js");
  if (!place.signal.aborted) await showRuns(main, place);
}

const main = document.getElementById("main");
let leave = null;

function readPlace() {
  const [, name, query] = /^#?\/?([^?]*)\??(.*)$/s.exec(location.hash); // a question may hold a question mark
  return [VIEWS[name] ? name : "ask", new URLSearchParams(query)];
}

function show() {
  leave?.abort();
  leave = new AbortController();
  const [name, query] = readPlace();
  const [title, view] = VIEWS[name];
  document.title = `${title} · Ragline`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = {
    query,
    signal: leave.signal,
    /** Keep the view's state in the address, without a new entry in the history. */
    keep(state) {
      const kept = new URLSearchParams(Object.entries(state).filter(([, value]) => value));
      history.replaceState(null, "", `#/${name}${kept.size ? `?${kept}` : ""}`);
    },
  };
  fill(main);
  Promise.resolve(view(main, place)).catch((error) => fill(main, errorNote(error)));
  announce(title);
}

function askKey(message) {
  if (document.querySelector("dialog[open]")) return;
  const input = h("input", { type: "password", autocomplete: "off", value: readKey(), id: "key-input" });
  const form = h(
    "form",
    { method: "dialog" },
    message ? note(message, "error") : null,
    h("p", {}, "An API key, if this gateway wants one. It is kept for this tab alone and sent to this gateway alone."),
    h("div", { class: "row" }, h("label", { class: "grow" }, "API key", input), h("button", { class: "main" }, "Use it")),
  );
  const dialog = openDialog("API key", form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepKey(input.value.trim());
    dialog.close();
    show();
  });
  input.focus();
}

document.getElementById("key").addEventListener("click", () => askKey(""));
window.addEventListener("ragline:key", (event) => askKey(event.detail));
window.addEventListener("hashchange", () => {
  show();
  if (!main.contains(document.activeElement)) main.focus();
});
show();
