// One arm's column: its answer while it comes, then with its verdicts and figures.

import { count, fill, h, note, seconds } from "./dom.js";
import { toUnits } from "./text.js";
import { describeClaims, drawVerdict } from "./verdicts.js";

export class Column {
  constructor(name, label) {
    this.name = name;
    this.label = label;
    this.isHidden = name !== label;
    this.heading = h("h3", {}, label);
    this.content = this.reasoning = this.figures = "";
    this.marks = {};
    this.timings = null;
    this.endedAt = null;
    this.state = h("div", {}, note("Searching …"));
    this.thoughts = h("div", { class: "thoughts", dir: "auto", tabindex: "0" });
    this.summary = h("summary", {}, "Thinking …");
    this.thinking = h("details", { open: true, hidden: true }, this.summary, this.thoughts);
    this.answer = h("div", { class: "sentences", dir: "auto" });
    this.foot = h("p", { class: "place" });
    this.element = h("article", { class: "column", "aria-label": label }, this.heading, this.state, this.thinking, this.answer, this.foot);
  }

  /** Say whose column it is, and show what would have told. */
  reveal() {
    this.isHidden = false;
    this.heading.textContent = this.name;
    this.element.setAttribute("aria-label", this.name);
    this.thinking.hidden = !this.thoughts.textContent;
    this.foot.hidden = false;
    if (this.judged) this.judge(this.judged);
  }

  wait() {
    fill(this.state, note("Waiting …"));
  }

  add({ content, reasoning_content: reasoning }, at) {
    fill(this.state);
    if (reasoning) {
      this.marks.thinking ??= at;
      this.thinking.hidden = this.isHidden;
      this.thoughts.append(reasoning);
    }
    if (content) {
      this.marks.answer ??= at;
      if (!this.content) this.thinking.open = false;
      this.content += content;
      this.answer.append(content);
    }
  }

  liveSpans(begun, now, search) {
    const { thinking, answer } = this.marks;
    const end = this.endedAt ?? now;
    const spans = [{ name: "search", kind: "search", start: 0, end: search }];
    if (begun === null || begun >= end) return spans;
    spans.push({ name: "first token", kind: "prefill", start: begun, end: thinking ?? answer ?? end });
    if (thinking !== undefined) spans.push({ name: "thinking", kind: "think", start: thinking, end: answer ?? end });
    if (answer !== undefined) spans.push({ name: "answer", kind: "answer", start: answer, end });
    return spans;
  }

  finish(reply, at) {
    this.endedAt = at;
    fill(this.state);
    this.content = reply.content ?? "";
    this.reasoning = reply.reasoning_content ?? "";
    fill(this.answer, this.content);
    if (reply.reasoning_content) {
      this.thinking.hidden = this.isHidden;
      this.thinking.open = false;
      fill(this.thoughts, reply.reasoning_content);
      const tokens = reply.usage?.completion_tokens_details?.reasoning_tokens;
      this.summary.textContent = `Thought ${[reply.timings?.think ? `for ${seconds(reply.timings.think)}` : "", tokens ? count(tokens, "token") : ""].filter(Boolean).join(", ")}`;
    }
    if (reply.status === "failed") fill(this.state, note(reply.error?.message ?? "This arm failed.", "error"));
    if (reply.status === "abstained") fill(this.state, note("Abstained: nothing relevant was found."));
    if (reply.status === "reasoning_truncated") fill(this.state, note("A limit ended the thinking before an answer.", "warn"));
    this.foot.hidden = this.isHidden;
    this.figures = [reply.model !== this.name ? reply.model : "", reply.timings ? seconds(reply.timings.e2el) : "", reply.usage ? count(reply.usage.completion_tokens, "token") : "", reply.citations?.length ? count(reply.citations.length, "citation") : ""].filter(Boolean).join(" · ");
    this.foot.textContent = this.figures;
  }

  judge(judged) {
    this.judged = judged;
    if (this.isHidden) return; // a verdict would sway the vote
    const { groundedness, missing } = judged;
    fill(this.foot, this.figures); // anew: what was hidden from a vote is judged once more
    if (missing) {
      this.foot.append(` · not judged: ${missing}`);
      return;
    }
    fill(this.answer, ...markSentences(this.content, groundedness.answer.sentences));
    if (groundedness.reasoning) fill(this.thoughts, ...markSentences(this.reasoning, groundedness.reasoning.sentences));
    const claims = describeClaims(groundedness.answer);
    if (claims) this.foot.append(` · ${claims}`);
    const trace = groundedness.trace;
    if (trace && trace.verdict !== "unclear") this.foot.append(` · the answer ${trace.verdict === "agrees" ? "agrees with" : "contradicts"} its thinking`);
  }
}

/** Draw a text whose sentences are judged, each with its verdict as a line, a sign and a word. */
function markSentences(text, sentences) {
  const units = toUnits(text, sentences.flatMap(({ start, end }) => [start, end]));
  const nodes = [];
  let at = 0;
  for (const sentence of sentences) {
    const [start, end] = [units.get(sentence.start), units.get(sentence.end)];
    if (start < at) continue;
    nodes.push(text.slice(at, start));
    nodes.push(h("span", { class: `sentence ${sentence.verdict.replaceAll(" ", "-")}` }, text.slice(start, end), drawVerdict(sentence)));
    at = end;
  }
  return [...nodes, text.slice(at)];
}
