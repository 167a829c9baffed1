// Runs: what was measured. The verdict first, then the questions that the arms do not answer alike; live while a run grows.

import { getJson, getText } from "./api.js";
import { announce, count, errorNote, fill, h, note, seconds } from "./dom.js";
import { Cases, runPath } from "./cases.js";

const EVERY = 2000; // milliseconds between two looks at a run that grows
const STATES = { running: "good", finished: "", stopped: "warn", damaged: "bad" };
const FIGURES = 12;

export function showRuns(main, place) {
  const name = place.query.get("run");
  return name ? new RunView(main, place, name).load() : showList(main, place);
}

/** Look again as long as `look` says so, but not while nobody sees it. */
async function follow(signal, look) {
  while (!signal.aborted) {
    if (!document.hidden && !(await look())) return;
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}

async function showList(main, place) {
  const body = h("div", {}, note("Loading …"));
  fill(main, h("h1", {}, "Runs"), body);
  await follow(place.signal, async () => {
    try {
      const { runs, left_out: left, detail } = await getJson("/v1/runs", { signal: place.signal });
      const hint = "ragline eval --dataset logic --n 20 --arms small,large --out runs/first";
      fill(
        body,
        detail ? note(`${detail[0].toUpperCase()}${detail.slice(1)}.`) : null,
        runs.length ? null : h("p", { class: "place" }, "A run is made by ", h("code", {}, hint), " or by ", h("code", {}, "ragline decide"), "."),
        h("ul", { class: "list", id: "runs" }, ...runs.map(drawSummary)),
        left ? note(`${count(left, "older run")} left out.`) : null,
      );
      return runs.some((run) => run.state === "running");
    } catch (error) {
      if (error.name !== "AbortError") fill(body, errorNote(error));
      return false;
    }
  });
}

function drawSummary(run) {
  return h(
    "li",
    {},
    h("a", { href: `#/runs?${new URLSearchParams({ run: run.name })}`, dir: "auto" }, run.name),
    " ",
    drawState(run),
    h("p", { class: "place", dir: "auto" }, describe(run)),
    run.state === "running" ? drawProgress(run) : null,
    run.detail && run.state !== "finished" ? h("p", { class: "place", dir: "auto" }, run.detail) : null,
    ...run.sentences.slice(0, 1).map((sentence) => h("p", { dir: "auto" }, sentence)),
  );
}

function drawState(run) {
  const tag = (text, kind) => h("span", { class: `tag ${kind}` }, text);
  const words = { yes: "may swap", no: "may not swap", undecided: "not settled" };
  return [tag(run.state, STATES[run.state]), run.answer ? tag(words[run.answer], { yes: "good", no: "bad" }[run.answer] ?? "") : null];
}

function describe(run) {
  const at = run.started ? new Date(run.started).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" }) : "";
  const sets = run.datasets.map((set) => `${set.name} (${set.n})`).join(", ");
  return [run.kind, at, sets, run.arms.join(" · "), run.due ? `${run.answers} of ${run.kind === "decide" ? "at most " : ""}${count(run.due, "answer")}` : ""].filter(Boolean).join(" — ");
}

function drawProgress(run) {
  return h("p", {}, h("progress", { max: String(run.due || 1), value: run.answers, "aria-label": "Answers" }), ` ${run.answers} of ${run.due}, the last ${seconds(1000 * run.written)} ago`);
}

/** Format a figure of a metric; one without a unit is a share. */
function figure(value, unit) {
  if (value === null || value === undefined) return "–";
  if (!unit) return `${(100 * value).toFixed(1)} %`;
  return unit === "ms" ? seconds(value) : `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`;
}

class RunView {
  constructor(main, place, name) {
    Object.assign(this, { place, name, answers: -1, state: "" });
    this.kept = Object.fromEntries(["show", "dataset", "q", "case", "report"].map((key) => [key, place.query.get(key) ?? ""]));
    this.head = h("div", {}, note("Loading …"));
    this.figures = h("div");
    this.report = h("div");
    this.cases = new Cases(name, this.kept, (changed) => this.#keep(changed), place.signal);
    fill(main, h("p", {}, h("a", { href: "#/runs" }, "All runs")), h("h1", { dir: "auto" }, name), this.head, this.figures, this.report, this.cases.element);
  }

  #keep(changed) {
    Object.assign(this.kept, changed);
    this.place.keep({ run: this.name, ...this.kept });
  }

  load() {
    return follow(this.place.signal, async () => {
      try {
        const run = await getJson(runPath(this.name), { signal: this.place.signal });
        this.#draw(run);
        return run.summary.state === "running";
      } catch (error) {
        if (error.name !== "AbortError") fill(this.head, errorNote(error));
        return false;
      }
    });
  }

  #draw(run) {
    const { summary } = run;
    const ended = this.state === "running" && summary.state !== "running";
    const sentences = summary.sentences.length ? summary.sentences : [{ running: "There is no verdict yet: it is being asked.", damaged: "" }[summary.state] ?? "There are no results yet."];
    fill(
      this.head,
      h("p", {}, drawState(summary)),
      ...sentences.filter(Boolean).map((sentence) => h("p", { class: "verdict-first", dir: "auto" }, sentence)),
      ...run.swaps.map((swap) => h("p", { class: "place", dir: "auto" }, swap.trade)),
      summary.detail ? note(summary.detail, summary.state === "damaged" ? "error" : "warn") : null,
      h("p", { class: "place", dir: "auto" }, describe(summary)),
      summary.state === "running" ? drawProgress(summary) : null,
    );
    if (summary.state === "damaged") {
      this.cases.element.hidden = true;
      return;
    }
    const isOpen = this.figures.querySelector("details")?.open ?? !run.metrics.length;
    fill(this.figures, ...run.warnings.map((warning) => note(`Read first: ${warning}.`, "warn")), run.sequential ? drawEvidence(run.sequential) : null, drawFigures(run, isOpen));
    if (summary.report && !this.report.firstChild) fill(this.report, this.#drawReport());
    if (summary.answers !== this.answers || ended) this.cases.load(summary);
    if (ended) announce(`The run is ${summary.state}.`);
    [this.answers, this.state] = [summary.answers, summary.state];
  }

  /** Show the report in a frame of no origin: whatever is in it cannot touch this page, its key, or the network. */
  #drawReport() {
    const box = h("div");
    const details = h("details", { id: "report" }, h("summary", {}, "Report"), box);
    const open = async () => {
      if (box.firstChild) return;
      const frame = h("iframe", { src: "/page/report-frame", sandbox: "allow-scripts", title: `The report of ${this.name}`, class: "report" });
      fill(box, frame);
      try {
        const text = getText(runPath(this.name, "/report"), { signal: this.place.signal });
        const ready = new Promise((resolve) => addEventListener("message", (event) => event.source === frame.contentWindow && resolve(), { signal: this.place.signal }));
        const [report] = await Promise.all([text, ready]);
        frame.contentWindow.postMessage(report, "*"); // a document without an origin cannot be named otherwise
        const file = h("a", { download: `${this.name}.html`, href: URL.createObjectURL(new Blob([report], { type: "text/html" })) }, "Save the report as a file");
        box.append(h("p", {}, file));
      } catch (error) {
        if (error.name !== "AbortError") fill(box, errorNote(error));
      }
    };
    details.addEventListener("toggle", () => {
      this.#keep({ report: details.open ? "1" : "" });
      if (details.open) open();
    });
    details.open = this.kept.report === "1";
    return details;
  }
}

function drawFigures(run, isOpen) {
  const table = run.metrics.length ? drawMetrics(run) : drawSoFar(run);
  return h("details", { open: isOpen }, h("summary", {}, "Figures"), h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Figures" }, table));
}

/** Draw what a policy asks, and how far the evidence for each part of it is. */
function drawEvidence({ arm, questions, criteria, needed }) {
  const number = (value) => (value === null ? "–" : value.toFixed(3));
  const words = { pass: ["holds", "good"], fail: ["fails", "bad"], undecided: ["open", ""] };
  const rows = criteria.map((one) => {
    const [word, kind] = words[one.outcome];
    const cells = [`${one.asked.replaceAll("_", " ")} ${one.limit}`, number(one.value), `${number(one.low)} to ${number(one.high)}`, String(one.n)];
    return h("tr", {}, h("th", { scope: "row" }, one.scope === "overall" ? one.metric : `${one.metric}, ${one.scope}`), ...cells.map((cell) => h("td", { class: "number" }, cell)), h("td", {}, h("span", { class: `tag ${kind}` }, word)));
  });
  const table = drawTable(`The evidence about ${arm}`, ["What the policy asks", "limit", "so far", "95 % confidence sequence", "n", ""], rows);
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Evidence" }, h("h2", {}, `Evidence after ${count(questions, "question")}${needed ? `, about ${needed} more at this pace` : ""}`), table);
}

function drawTable(caption, head, rows) {
  return h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...rows));
}

function drawSoFar(run) {
  const rows = run.progress.map((arm) => h("tr", {}, h("th", { scope: "row", dir: "auto" }, arm.arm), ...[arm.answered, arm.abstained, arm.reasoning_truncated, arm.failed].map((number) => h("td", { class: "number" }, String(number))), h("td", { class: "number" }, figure(arm.e2el, "ms"))));
  return drawTable("What has come so far", ["Arm", "answered", "abstained", "thought to a limit", "failed", "median E2EL, search left out"], rows);
}

function drawMetrics(run) {
  const arms = run.arms.map((arm) => arm.name);
  const rows = run.metrics.slice(0, FIGURES).map((metric) => {
    const cells = arms.map((arm) => {
      const rate = metric.rates.find((one) => one.arm === arm || one.arm === "");
      const delta = metric.deltas.find((one) => one.arm === arm);
      const kind = delta?.detectable ? { true: "good", false: "bad" }[String(delta.better)] ?? "" : null;
      return h("td", { class: "number" }, rate ? figure(rate.value, metric.unit) : "–", rate && rate.low !== null ? h("div", { class: "place" }, `${figure(rate.low, metric.unit)} to ${figure(rate.high, metric.unit)}, n ${rate.n}`) : null, kind === null ? null : h("span", { class: `tag ${kind}` }, { good: "better", bad: "worse" }[kind] ?? "different"));
    });
    return h("tr", {}, h("th", { scope: "row" }, metric.metric), ...cells);
  });
  return drawTable("Figures of each arm, with 95 % intervals", ["Metric", ...arms], rows);
}
