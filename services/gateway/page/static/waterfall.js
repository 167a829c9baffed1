// Draws where the time went: one row a stage, on one axis.

import { h, fill, seconds } from "./dom.js";

const SEARCH = ["rewriting", "embedding", "retrieval", "reranking", "neighbours", "selection"];

/** Lay the server's timings out one after another, in milliseconds from the request. */
export function layOut(timings) {
  const spans = [];
  let at = 0;
  for (const name of SEARCH) {
    if (timings[name] === undefined) continue;
    spans.push({ name, kind: "search", start: at, end: at + timings[name] });
    at += timings[name];
  }
  const { ttft, ttfo, e2el } = timings;
  if (ttft !== undefined) spans.push({ name: "first token", kind: "prefill", start: Math.min(at, ttft), end: ttft });
  if (ttft !== undefined && ttfo !== undefined && ttfo > ttft) spans.push({ name: "thinking", kind: "think", start: ttft, end: ttfo });
  const answer = ttfo ?? ttft;
  if (answer !== undefined && e2el > answer) spans.push({ name: "answer", kind: "answer", start: answer, end: e2el });
  return spans;
}

/** Draw spans `{name, kind, start, end}` into `element`; `total` is the axis' end, shared by several drawings. */
export function drawWaterfall(element, spans, total = Math.max(1, ...spans.map((span) => span.end))) {
  const rows = spans.map(({ name, kind, start, end }) => {
    const bar = h("span", { class: `bar kind-${kind}` });
    bar.style.left = `${(100 * start) / total}%`;
    bar.style.width = `${Math.max(0.4, (100 * (end - start)) / total)}%`;
    return h("div", { class: "stage" }, h("span", { class: "name" }, name), h("span", { class: "track" }, bar), h("span", { class: "value" }, seconds(end - start)));
  });
  return fill(element, ...rows);
}

/** Measures the stages in the browser while they happen; the server's own figures take their place later. */
export class LiveWaterfall {
  constructor(element) {
    this.element = element;
    this.start = performance.now();
    this.marks = {};
    this.timer = setInterval(() => this.#draw(), 100);
    this.#draw();
  }

  mark(name) {
    this.marks[name] ??= performance.now() - this.start;
  }

  get elapsed() {
    return performance.now() - this.start;
  }

  #draw() {
    const { context, thinking, answer } = this.marks;
    const now = this.elapsed;
    const first = thinking ?? answer;
    const spans = [{ name: "search", kind: "search", start: 0, end: context ?? now }];
    if (context !== undefined) spans.push({ name: "first token", kind: "prefill", start: context, end: first ?? now });
    if (thinking !== undefined) spans.push({ name: "thinking", kind: "think", start: thinking, end: answer ?? now });
    if (answer !== undefined) spans.push({ name: "answer", kind: "answer", start: answer, end: now });
    drawWaterfall(this.element, spans, now);
  }

  stop(timings) {
    clearInterval(this.timer);
    if (timings) drawWaterfall(this.element, layOut(timings), timings.e2el);
  }
}
