// Compare: several arms answer one question from one frozen context, side by side, on one axis of time.

import { readEvents } from "./api.js";
import { announce, count, errorNote, fill, h, note, seconds } from "./dom.js";
import { fillModels } from "./ask.js";
import { Column } from "./column.js";
import { describePlace, openPassage } from "./evidence.js";
import { Ballot, shuffle } from "./votes.js";
import { drawWaterfall, layOut } from "./waterfall.js";

const MOST = 16;

export function showCompare(main, place) {
  const question = h("textarea", { rows: "2", id: "question", value: place.query.get("q") ?? "" });
  const arms = h("input", { id: "arms", value: place.query.get("arms") ?? "", size: "32", placeholder: "small, large, large@256" });
  const serial = h("input", { type: "checkbox", checked: place.query.get("serial") !== "0" });
  const blind = h("input", { type: "checkbox", checked: place.query.get("blind") === "1" });
  const collection = h("input", { value: place.query.get("collection") ?? "default", size: "12" });
  const model = h("select", {});
  const budget = h("input", { type: "number", min: "0", placeholder: "none", size: "5" });
  const prompt = h("select", {}, ...["", "plain", "cite", "steps", "reasoning"].map((name) => h("option", { value: name }, name || "as set")));
  const add = h("button", { type: "button" }, "Add");
  const go = h("button", { class: "main" }, "Compare");
  const stop = h("button", { type: "button", hidden: true }, "Stop");
  const found = h("section", { "aria-label": "Comparison" });
  const problem = h("div");
  const form = h(
    "form",
    {},
    h("label", { for: "question" }, "Question"),
    question,
    h("div", { class: "row" }, h("label", { class: "grow" }, "Arms, separated by commas", arms), h("label", {}, "Collection", collection), h("label", { class: "line" }, serial, "one after another"), h("label", { class: "line" }, blind, "blind vote")),
    h("details", {}, h("summary", {}, "Put an arm together"), h("div", { class: "row" }, h("label", {}, "Model", model), h("label", {}, "Prompt", prompt), h("label", {}, "Thinking tokens", budget), add)),
    h("div", { class: "row" }, go, stop),
  );
  fill(main, h("h1", {}, "Compare"), h("p", { class: "place" }, "The passages are found once; every arm answers from them. One question shows what happened, not which model is better."), form, problem, found);

  const readArms = () => arms.value.split(",").map((arm) => arm.trim()).filter(Boolean);
  add.addEventListener("click", () => {
    const arm = `${model.value}${prompt.value ? `+${prompt.value}` : ""}${budget.value ? `@${budget.value}` : ""}`;
    arms.value = [...readArms(), arm].join(", ");
  });
  fillModels(model)
    .then((entries) => (arms.value ||= entries.slice(0, 2).map((entry) => entry.id).join(", ")))
    .catch((error) => fill(problem, errorNote(error)));

  let running = null;
  stop.addEventListener("click", () => running?.abort());
  place.signal.addEventListener("abort", () => running?.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = readArms();
    if (running || !question.value.trim()) return;
    if (!chosen.length || chosen.length > MOST) {
      fill(problem, note(`Name 1 to ${MOST} arms.`, "error"));
      return;
    }
    fill(problem);
    place.keep({ q: question.value, arms: chosen.join(", "), serial: serial.checked ? "" : "0", blind: blind.checked ? "1" : "", collection: collection.value === "default" ? "" : collection.value });
    running = new AbortController();
    [go.disabled, stop.hidden] = [true, false];
    const comparison = new Comparison(found, chosen, { question: question.value.trim(), collection: collection.value.trim() || "default", serial: serial.checked, blind: blind.checked });
    try {
      await comparison.run(running.signal);
      announce("The comparison is done.");
    } catch (error) {
      comparison.stop();
      fill(problem, error.name === "AbortError" ? note("Stopped: what is shown is not the whole.", "warn") : errorNote(error));
    } finally {
      running = null;
      [go.disabled, stop.hidden] = [false, true];
    }
  });
  question.focus();
}

class Comparison {
  constructor(element, arms, chosen) {
    this.chosen = chosen;
    this.hidden = chosen.blind && arms.length > 1;
    if (this.hidden) arms = shuffle(arms);
    this.start = performance.now();
    this.contextAt = null;
    this.columns = new Map(arms.map((name, at) => [name, new Column(name, this.hidden ? String.fromCharCode(65 + at) : name)]));
    this.ballot = h("div");
    this.race = h("div", { role: "group", "aria-label": "The race, on one axis of time" });
    this.rail = h("div");
    this.table = h("div", { class: "scroll" });
    this.arms = arms;
    fill(element, h("h2", {}, "Race"), this.race, h("div", { class: "columns", tabindex: "0", role: "group", "aria-label": "Arms" }, ...[...this.columns.values()].map((column) => column.element)), this.ballot, this.table, this.rail);
    this.timer = setInterval(() => this.#drawRace(), 150);
  }

  async run(signal) {
    const { question, collection, serial } = this.chosen;
    const body = { question, arms: this.arms, serial, stream: true, rag: { collection } };
    this.race.hidden = this.hidden; // how long an arm takes tells which one it is
    for await (const { event, data } of readEvents("/v1/compare", { body, signal })) {
      if (event === "context") this.#setContext(data);
      else if (event === "delta") this.#column(data.arm).add(data, performance.now() - this.start);
      else if (event === "arm") this.#column(data.arm).finish(data, performance.now() - this.start);
      else if (event === "groundedness") this.#column(data.arm).judge(data);
      else if (event === "comparison") this.#finish(data);
    }
    this.stop();
  }

  stop() {
    clearInterval(this.timer);
    this.#drawRace();
  }

  #column(name) {
    return this.columns.get(name) ?? [...this.columns.values()][0];
  }

  #setContext(context) {
    this.context = context;
    this.contextAt = performance.now() - this.start;
    for (const column of this.columns.values()) column.wait();
    this.#drawRail();
  }

  /** Before the figures of the server are there, the browser's own; an arm of a serial run begins where the last ended. */
  #drawRace() {
    const now = performance.now() - this.start;
    const search = this.contextAt ?? now;
    let begun = search; // null: its turn has not come
    const lanes = [];
    for (const column of this.columns.values()) {
      lanes.push(column.timings ? layOut(column.timings) : column.liveSpans(begun, now, search));
      if (this.chosen.serial) begun = column.endedAt;
    }
    const total = Math.max(1, ...lanes.flat().map((span) => span.end));
    const merged = lanes.map((spans, place) => drawLane([...this.columns.values()][place].name, spans, total));
    fill(this.race, ...merged, h("p", { class: "place" }, "grey: search · amber: first token · violet: thinking · blue: answer"));
  }

  #finish(reply) {
    for (const arm of reply.arms) this.#column(arm.arm).timings = arm.timings;
    const columns = [...this.columns.values()];
    const show = () => {
      this.hidden = this.race.hidden = false;
      for (const column of columns) column.reveal();
      this.#drawFigures(reply);
    };
    const answered = reply.arms.filter((arm) => arm.status !== "failed").length > 1;
    if (answered) fill(this.ballot, new Ballot(reply, columns.map((column) => column.label), this.chosen, show).element);
    if (!answered || !this.hidden) show();
  }

  #drawFigures(reply) {
    const figures = [["TTFT", "ttft"], ["TTFO", "ttfo"], ["E2EL", "e2el"]];
    const sign = (value, text) => (value > 0 ? `+${text}` : text);
    const rows = reply.arms.map((arm) => {
      const difference = reply.differences.find((other) => other.arm === arm.arm);
      const time = (name) => {
        const own = arm.timings?.[name];
        if (own === undefined) return "";
        const by = difference?.[name];
        return by === undefined ? seconds(own) : `${seconds(own)} (${sign(by, `${(by / 1000).toFixed(1)} s`)})`;
      };
      const share = arm.groundedness?.answer?.share_supported;
      return h("tr", {}, h("th", { scope: "row" }, arm.arm), ...figures.map(([, name]) => h("td", { class: "number" }, time(name))), h("td", { class: "number" }, String(arm.usage?.completion_tokens ?? "")), h("td", { class: "number" }, String(arm.usage?.completion_tokens_details?.reasoning_tokens ?? "")), h("td", { class: "number" }, share === undefined || share === null ? "" : `${Math.round(share * 100)} %`), h("td", {}, arm.status === "answered" ? (difference?.same_answer ? "the same answer" : "") : arm.status.replaceAll("_", " ")));
    });
    const head = ["Arm", ...figures.map(([name]) => name), "Tokens", "of them thinking", "Supported", ""];
    fill(this.table, h("table", {}, h("caption", { class: "unseen" }, "Figures of each arm, with the difference to the first"), h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...rows)));
    for (const stage of reply.degraded ?? []) this.table.append(note(`The stage ${stage} failed and was left out.`, "warn"));
    this.#drawRail(reply.arms);
  }

  #drawRail(arms = []) {
    const { passages, context_id: id } = this.context;
    const rows = passages.map((passage) => {
      const citing = arms.filter((arm) => (arm.citations ?? []).some((citation) => citation.passage_id === passage.id)).map((arm) => arm.arm);
      return h("li", {}, h("button", { type: "button", class: "quiet", onclick: () => openPassage(passage, this.chosen.collection) }, h("span", { dir: "auto" }, passage.title || passage.document_id)), h("span", { class: "place", dir: "auto" }, ` ${describePlace(passage)}`), citing.length ? h("span", { class: "tag good" }, `cited by ${citing.join(", ")}`) : null);
    });
    fill(this.rail, h("h2", {}, `The frozen context: ${count(passages.length, "passage")}`), h("p", { class: "place" }, `context_id ${id}`), passages.length ? h("ol", {}, ...rows) : note("Nothing relevant was found: every arm abstains.", "warn"));
  }
}

function drawLane(name, spans, total) {
  const lane = h("div");
  drawWaterfall(lane, spans, total);
  const track = h("span", { class: "track" }, ...lane.querySelectorAll(".bar"));
  const end = Math.max(0, ...spans.map((span) => span.end));
  return h("div", { class: "stage" }, h("span", { class: "name" }, name), track, h("span", { class: "value" }, seconds(end)));
}
