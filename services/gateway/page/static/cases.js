// The questions of a run: those that the arms do not answer alike first; filters, and j, k and / on the keyboard.

import { getJson } from "./api.js";
import { count, errorNote, fill, h, note, seconds } from "./dom.js";

const PAGE = 50;
const SHOWS = { all: "all", differ: "the arms differ", gained: "better than the baseline", lost: "worse than the baseline", same: "alike", failed: "failed", unanswered: "not answered yet" };
const STATUSES = { answered: "answered", abstained: "abstained", reasoning_truncated: "thought to a limit", failed: "failed" };

export const runPath = (name, rest = "") => `/v1/runs/${encodeURIComponent(name)}${rest}`;

export class Cases {
  constructor(run, kept, keep, signal) {
    Object.assign(this, { run, keep, signal, first: 0 });
    this.show = h("select", { id: "show" });
    this.dataset = h("select", {});
    this.text = h("input", { type: "search", id: "case-text", value: kept.q, placeholder: "in question or answer" });
    this.wanted = { show: kept.show || "all", dataset: kept.dataset };
    this.open = kept.case;
    this.list = h("div", { id: "cases" });
    this.heading = h("h2", {}, "Questions");
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.#page() }, "More questions");
    const form = h("form", { class: "row" }, h("label", {}, "Show", this.show), h("label", {}, "Data set", this.dataset), h("label", { class: "grow" }, "Text", this.text));
    this.element = h("section", { "aria-label": "Questions" }, this.heading, form, h("p", { class: "place" }, "j and k: the next and the one before; Enter opens; / filters."), this.list, this.more);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      this.wanted = { show: this.show.value, dataset: this.dataset.value };
      this.keep({ ...this.wanted, show: this.wanted.show === "all" ? "" : this.wanted.show, q: this.text.value, case: "" });
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.#start(), 150);
    });
    document.addEventListener("keydown", (event) => this.#press(event), { signal });
  }

  /** Show the questions of a run; again when it has grown, but not under a reader's eyes. */
  load(summary) {
    fill(this.dataset, h("option", { value: "" }, "all"), ...summary.datasets.map((set) => h("option", { value: set.name }, set.name)));
    this.dataset.value = this.wanted.dataset;
    if (!this.list.querySelector("details[open]")) this.#start();
  }

  #start() {
    this.first = 0;
    return this.#page();
  }

  async #page() {
    const query = new URLSearchParams({ ...this.wanted, text: this.text.value, first: this.first, limit: PAGE });
    this.asked = query;
    this.more.disabled = true;
    try {
      const page = await getJson(runPath(this.run, `/questions?${query}`), { signal: this.signal });
      if (this.asked !== query) return; // a newer filter was faster
      fill(this.show, ...Object.entries(SHOWS).filter(([name]) => page.counts[name] || name === "all" || name === this.wanted.show).map(([name, words]) => h("option", { value: name }, `${words} (${page.counts[name]})`)));
      this.show.value = this.wanted.show;
      this.heading.textContent = `${count(page.total, "question")}${page.counts.differ ? `; the arms differ in ${page.counts.differ}` : ""}`;
      const rows = page.questions.map((question) => this.#drawRow(question));
      if (this.first) this.list.append(...rows);
      else fill(this.list, ...(rows.length ? rows : [note("No question fits.")]));
      this.first += rows.length;
      this.more.hidden = this.first >= page.total;
    } catch (error) {
      if (error.name !== "AbortError") fill(this.list, errorNote(error));
    }
    this.more.disabled = false;
  }

  #drawRow(question) {
    const body = h("div");
    const marks = question.answers.map((answer) => h("span", { class: `tag ${kindOf(answer)}`, dir: "auto" }, `${answer.arm}: ${markOf(answer)}`));
    const row = h("details", { class: "case" }, h("summary", {}, h("span", { dir: "auto" }, question.text), " ", ...marks), body);
    row.addEventListener("toggle", () => {
      if (row.open) this.keep({ case: question.id });
      if (row.open && !body.firstChild) this.#fillCase(body, question);
    });
    if (question.id === this.open) {
      row.open = true;
      this.open = "";
    }
    return row;
  }

  async #fillCase(body, question) {
    fill(body, note("Loading …"));
    try {
      const found = await getJson(runPath(this.run, `/questions/${encodeURIComponent(question.id)}`), { signal: this.signal });
      fill(body, ...drawCase(found));
    } catch (error) {
      if (error.name !== "AbortError") fill(body, errorNote(error));
    }
  }

  #press(event) {
    const isTyping = event.target.closest?.("input, textarea, select");
    if (event.key === "Escape" && event.target === this.text) this.#focus(0);
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "/") {
      event.preventDefault();
      this.text.focus();
    } else if (event.key === "j" || event.key === "k") {
      this.#step(event.key === "j" ? 1 : -1);
    }
  }

  /** Go to the next question; one that is open closes, and the next opens. */
  async #step(by) {
    const rows = [...this.list.querySelectorAll("details.case")];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    if (at + by >= rows.length && !this.more.hidden) await this.#page();
    const next = this.#focus(at < 0 ? 0 : at + by);
    if (next && rows[at]?.open && next !== rows[at]) {
      rows[at].open = false;
      next.open = true;
    }
  }

  #focus(at) {
    const row = this.list.querySelectorAll("details.case")[at];
    row?.querySelector("summary").focus();
    row?.scrollIntoView({ block: "nearest" });
    return row;
  }
}

function markOf(answer) {
  if (answer.correct === null || answer.status === "failed") return STATUSES[answer.status];
  return answer.correct === 1 ? "right ✓" : answer.correct === 0 ? `wrong ✗${answer.status === "answered" ? "" : `, ${STATUSES[answer.status]}`}` : `right in ${Math.round(100 * answer.correct)} %`;
}

function kindOf(answer) {
  if (answer.status === "failed") return "bad";
  return answer.correct === null ? "" : answer.correct === 1 ? "good" : answer.correct === 0 ? "bad" : "";
}

const drawPieces = (pieces) => pieces.map((piece) => (piece.emphasis === "cited" || piece.emphasis === "against" ? h("mark", { title: piece.emphasis === "against" ? "contradicts an answer" : "cited" }, piece.text) : piece.emphasis ? h("span", { class: `sentence ${piece.emphasis}`, title: piece.emphasis }, piece.text, h("span", { class: `verdict ${piece.emphasis}`, role: "img", "aria-label": piece.emphasis }, piece.emphasis === "contradicted" ? "✗" : "?")) : piece.text));

function drawCase(found) {
  const known = found.references.length ? `Right: ${found.references.join(" / ")}` : found.answerable ? "" : "The passages hold no answer: right is to say so.";
  const columns = found.answers.map((answer) =>
    h(
      "article",
      { class: "column", "aria-label": answer.arm },
      h("h3", { dir: "auto" }, answer.arm),
      h("p", {}, h("span", { class: `tag ${kindOf(answer)}` }, markOf(answer))),
      answer.error ? note(answer.error, "error") : null,
      answer.reasoning.length ? h("details", {}, h("summary", {}, `Thinking${answer.reasoning_tokens ? `, ${count(answer.reasoning_tokens, "token")}` : ""}`), h("div", { class: "thoughts", dir: "auto", tabindex: "0" }, ...drawPieces(answer.reasoning))) : null,
      h("div", { class: "sentences", dir: "auto" }, ...drawPieces(answer.pieces)),
      h("p", { class: "place" }, [answer.e2el === null ? "" : seconds(answer.e2el), answer.repeats > 1 ? `the first of ${answer.repeats} repeats` : "", answer.checked ? "" : "not checked against its passages"].filter(Boolean).join(" · ")),
    ),
  );
  const passages = found.passages.map((passage) => h("li", { value: String(passage.marker) }, h("p", { class: "place", dir: "auto" }, [passage.title, passage.page === null ? "" : `page ${passage.page}`, passage.score === null ? "" : `score ${passage.score.toFixed(3)}`].filter(Boolean).join(", ")), h("div", { class: "document", dir: "auto" }, ...drawPieces(passage.pieces))));
  return [
    h("p", { class: "place document", dir: "auto" }, found.text),
    known ? h("p", { class: "place", dir: "auto" }, known) : null,
    h("div", { class: "columns", tabindex: "0", role: "group", "aria-label": "Answers" }, ...columns),
    passages.length ? h("details", {}, h("summary", {}, `${count(passages.length, "passage")} in the frozen context`), h("ol", {}, ...passages)) : note("It was asked without passages."),
  ];
}
