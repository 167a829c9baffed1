// Ask: a streamed answer, its thinking, its evidence, and where the time went.

import { listModels } from "./api.js";
import { errorNote, fill, h, note } from "./dom.js";
import { Turn } from "./turn.js";

const STORE = "ragline-conversation";
const BUDGETS = [["", "as the model does"], ["0", "none"], ["128", "128 tokens"], ["512", "512 tokens"], ["2048", "2,048 tokens"]];

/** Fill a select with the model entries. */
export async function fillModels(select, chosen) {
  const entries = await listModels();
  const label = (entry) => `${entry.id}${entry.default ? " (default)" : ""}${entry.ready ? "" : ", not ready"}`;
  fill(select, ...entries.map((entry) => h("option", { value: entry.id }, label(entry))));
  const preferred = entries.find((entry) => entry.id === chosen) ?? entries.find((entry) => entry.default);
  if (preferred) select.value = preferred.id;
  return entries;
}

function readConversation() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? [];
  } catch {
    return [];
  }
}

function keepConversation(turns) {
  const kept = turns.map((turn) => turn.record).filter(Boolean);
  try {
    sessionStorage.setItem(STORE, JSON.stringify(kept));
  } catch {
    sessionStorage.removeItem(STORE); // too long for the browser: the conversation lives until a reload
  }
}

export function showAsk(main, place) {
  const question = h("textarea", { rows: "3", id: "question", value: place.query.get("q") ?? "", placeholder: "Ask about your documents" });
  const model = h("select", { id: "model" });
  const budget = h("select", {}, ...BUDGETS.map(([value, text]) => h("option", { value }, text)));
  const collection = h("input", { value: place.query.get("collection") ?? "default", size: "12" });
  const count = h("input", { type: "number", min: "1", max: "50", placeholder: "as set", size: "4" });
  const ask = h("button", { class: "main", id: "ask" }, "Ask");
  const stop = h("button", { type: "button", hidden: true }, "Stop");
  const fresh = h("button", { type: "button" }, "New conversation");
  const problem = h("div");
  const log = h("section", { "aria-label": "Conversation" });
  const hint = note("No question yet. Bring documents first, in Documents; then ask, and open a citation to read it in its place.");
  const check = h("input", { type: "checkbox", checked: place.query.get("check") !== "0" });
  budget.value = place.query.get("budget") ?? "";

  const form = h(
    "form",
    { class: "asking" },
    h("label", { class: "grow", for: "question" }, "Question (Enter asks, Shift+Enter is a new line)"),
    question,
    h("div", { class: "row" }, ask, stop, h("label", {}, "Model", model), h("label", {}, "Thinking", budget), fresh),
    h("details", {}, h("summary", {}, "More"), h("div", { class: "row" }, h("label", {}, "Collection", collection), h("label", {}, "Passages in the prompt", count), h("label", { class: "line" }, check, "check the answer's sentences against the passages"))),
  );
  fill(main, h("h1", {}, "Ask"), form, problem, hint, log);

  let turns = [];
  let running = null;

  const keep = () => place.keep({ q: question.value, model: model.value, budget: budget.value, check: check.checked ? "" : "0", collection: collection.value === "default" ? "" : collection.value });
  const add = (turn) => {
    hint.remove();
    turns.push(turn);
    log.prepend(turn.element);
  };
  const settings = () => ({
    model: model.value,
    budget: budget.value,
    collection: collection.value.trim() || "default",
    passages: count.value ? Number(count.value) : null,
    check: check.checked,
  });

  async function run(text, chosen, history) {
    const turn = new Turn(text, chosen, {
      history,
      again: (entry) => running || run(text, { ...chosen, model: entry }, history),
      others: () => [...model.options].map((option) => option.value).filter((name) => name !== chosen.model),
    });
    add(turn);
    running = new AbortController();
    place.signal.addEventListener("abort", () => running?.abort());
    [ask.disabled, stop.hidden] = [true, false];
    try {
      await turn.ask(running.signal);
    } finally {
      running = null;
      [ask.disabled, stop.hidden] = [false, true];
      setTimeout(() => keepConversation(turns)); // a long one takes a while
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = question.value.trim();
    if (!text || running) return;
    keep();
    run(text, settings(), turns.flatMap((turn) => turn.messages));
    question.select();
  });
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  stop.addEventListener("click", () => running?.abort());
  fresh.addEventListener("click", () => {
    running?.abort();
    turns = [];
    sessionStorage.removeItem(STORE);
    fill(log);
    form.after(hint);
    question.focus();
  });

  for (const record of readConversation()) add(Turn.restore(record));
  fillModels(model, place.query.get("model")).catch((error) => fill(problem, errorNote(error)));
  question.focus();
}
