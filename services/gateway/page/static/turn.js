// One question and its answer: streamed, then with its evidence, its figures and what can be done with it.

import { readEvents, readKey } from "./api.js";
import { announce, copy, count, errorNote, fill, h, note, seconds } from "./dom.js";
import { describePlace, openPassage } from "./evidence.js";
import { GrowingMarkdown } from "./markdown.js";
import { cut, length, toUnits } from "./text.js";
import { describeClaims, drawVerdict } from "./verdicts.js";
import { drawThumbs } from "./votes.js";
import { drawWaterfall, layOut, LiveWaterfall } from "./waterfall.js";

const OUTCOMES = {
  abstained: "Nothing relevant was found in the documents. No model was asked.",
  answered_without_passages: "Answered without passages: from the conversation, or from what the model knows.",
  blocked: "The guard does not allow the question, or the rest of the answer.",
  reasoning_truncated: "A limit ended the thinking before an answer. Give it more tokens, or choose less thinking.",
  reasoning_misplaced: "What came first was the model's thinking, which its server had not marked as such. It was moved there.",
  blocked: "A guard held this back.",
};

/** Say in words what was left out or done by another. */
function describeDegraded(names) {
  return names.map((name) => {
    const [stage, entry] = name.split(":");
    if (stage === "generation") return `${entry} could not answer; another model entry did.`;
    return `The stage ${stage} failed and was left out.`;
  });
}

/** Make a pill that shows the quote on hover and focus, and opens the passage. */
function drawPill(citation, collection) {
  const where = [citation.filename || citation.file_id, citation.page ? `page ${citation.page}` : ""].filter(Boolean).join(", ");
  const open = () =>
    openPassage({ id: citation.passage_id, title: citation.filename, start: citation.start, end: citation.end, text: citation.quote }, collection);
  return h(
    "button",
    { type: "button", class: "pill", onclick: open, "aria-label": `Citation ${citation.marker}: ${where}` },
    String(citation.marker),
    h("span", { class: "tip", "aria-hidden": "true" }, h("strong", { dir: "auto" }, where), h("br"), h("span", { dir: "auto" }, `“${citation.quote}”`)),
  );
}

/** Find where each pill stands: at the model's own [n] where it wrote one, else behind the sentence. */
export function placeMarks(content, citations) {
  const units = toUnits(content, citations.flatMap((citation) => [citation.start_index, citation.index]));
  return citations.map((citation, mark) => {
    const [start, end] = [units.get(citation.start_index), units.get(citation.index)];
    const written = `[${citation.marker}]`;
    const near = citation.method === "model" ? content.slice(start, end + 8 + written.length).lastIndexOf(written) : -1;
    return near < 0 ? { at: end, mark } : { at: start + near, skip: written.length, mark };
  });
}

export class Turn {
  constructor(question, chosen, { history = [], again = null, others = () => [] } = {}) {
    Object.assign(this, { question, chosen, history, again, others });
    this.content = "";
    this.reasoning = "";
    this.record = null;
    this.notes = h("div");
    this.thoughts = h("div", { class: "thoughts", dir: "auto", tabindex: "0" }, "");
    this.thinkingLine = h("summary", {}, "Thinking …");
    this.thinking = h("details", { open: true, hidden: true }, this.thinkingLine, this.thoughts);
    this.answer = h("div", { class: "answer" });
    this.after = h("div");
    this.waterfall = h("div", { class: "waterfall", "aria-label": "Where the time went", role: "group" });
    this.markdown = new GrowingMarkdown(this.answer);
    this.element = h(
      "article",
      { class: "turn", "aria-label": "Question and answer" },
      h("p", { class: "question", dir: "auto" }, question),
      this.thinking,
      this.answer,
      this.notes,
      this.after,
      this.waterfall,
    );
  }

  /** The messages of this turn, for the history of the next; none where there was no answer. */
  get messages() {
    if (!this.record?.content) return [];
    return [{ role: "user", content: this.question }, { role: "assistant", content: this.record.content }];
  }

  get body() {
    const { model, budget, collection, passages } = this.chosen;
    const body = { messages: [...this.history, { role: "user", content: this.question }], stream: true };
    if (model) body.model = model;
    if (budget) body.max_reasoning_tokens = Number(budget);
    if (Number(budget)) body.think = true; // an instruct model thinks only where it is asked to
    body.rag = { collection };
    if (this.chosen.check) body.rag.grounding = true;
    if (passages) body.rag.top_n = passages;
    return body;
  }

  async ask(signal) {
    const live = new LiveWaterfall(this.waterfall);
    fill(this.notes, note("Searching …"));
    let last = {};
    let context = null;
    try {
      for await (const { data } of readEvents("/v1/chat/completions", { body: this.body, signal })) {
        if (data.context) {
          context = data.context;
          live.mark("context");
          fill(this.notes, note(`Reading ${count(context.passages.length, "passage")} …`));
        }
        if (data.groundedness || data.groundedness_missing) [last.groundedness, last.unjudged] = [data.groundedness, data.groundedness_missing];
        if (data.outcome) last = { ...last, ...data };
        if (data.usage) last.usage = data.usage;
        if (data.model) last.model = data.model;
        const choice = data.choices?.[0];
        if (choice?.finish_reason) last.finish = choice.finish_reason;
        if (choice?.delta.citations) last.citations = choice.delta.citations;
        if (choice?.delta.reasoning_content) this.#think(choice.delta.reasoning_content, live);
        if (choice?.delta.content) this.#say(choice.delta.content, live);
        if (choice?.finish_reason && this.chosen.check) this.#await(live, last);
      }
      live.stop(last.timings);
      this.#finish(context, last);
    } catch (error) {
      live.stop();
      this.#fail(error);
    }
  }

  #think(text, live) {
    if (!this.reasoning) fill(this.notes);
    this.reasoning += text;
    live.mark("thinking");
    this.thinking.hidden = false;
    this.thoughts.firstChild ? this.thoughts.firstChild.appendData(text) : this.thoughts.append(text);
    this.thinkingLine.textContent = `Thinking … ${seconds(live.elapsed - live.marks.thinking)}`;
  }

  #say(text, live) {
    if (!this.content) {
      fill(this.notes);
      this.thinking.open = false;
    }
    this.content += text;
    live.mark("answer");
    this.markdown.push(text);
  }

  /** The answer is whole, and its sentences are being judged. */
  #await(live, last) {
    live.stop(last.timings);
    fill(this.notes, note("Checking the sentences against the passages …"));
  }

  #fail(error) {
    this.markdown.finish(this.content);
    const shown = this.content || this.reasoning;
    if (error.name === "AbortError") fill(this.notes, note(shown ? "Stopped: what is shown is not the whole." : "Stopped.", "warn"));
    else fill(this.notes, errorNote(error), shown ? note("What is shown above is not a whole answer.", "warn") : null);
    this.#drawActions([]);
  }

  #finish(context, last) {
    const moved = last.misplaced ?? 0;
    if (moved) {
      this.reasoning += cut(this.content, 0, moved);
      this.content = cut(this.content, moved, length(this.content)).trimStart();
      this.thinking.hidden = false;
      fill(this.thoughts, this.reasoning);
    }
    this.record = {
      question: this.question,
      chosen: this.chosen,
      content: this.content,
      reasoning: this.reasoning,
      citations: moved ? [] : last.citations ?? [],
      context,
      timings: last.timings,
      usage: last.usage,
      model: last.model,
      outcome: last.outcome,
      finish: last.answer_finish_reason ?? last.finish,
      degraded: last.degraded ?? [],
      groundedness: moved ? null : last.groundedness,
      unjudged: last.unjudged,
    };
    this.#draw();
    announce("The answer is there.");
  }

  /** Draw a turn of before a reload. */
  static restore(record) {
    const turn = new Turn(record.question, record.chosen);
    Object.assign(turn, { record, content: record.content, reasoning: record.reasoning });
    turn.thinking.hidden = !record.reasoning;
    turn.thoughts.append(record.reasoning);
    turn.#draw();
    if (record.timings) drawWaterfall(turn.waterfall, layOut(record.timings), record.timings.e2el);
    return turn;
  }

  #draw() {
    const { citations, timings, usage, outcome, finish, degraded, context, groundedness, unjudged } = this.record;
    const { collection } = this.chosen;
    this.thinking.open = false;
    const thought = [timings?.think ? `for ${seconds(timings.think)}` : "", usage?.completion_tokens_details?.reasoning_tokens ? count(usage.completion_tokens_details.reasoning_tokens, "token") : "", this.chosen.budget ? `of at most ${this.chosen.budget}` : ""];
    this.thinkingLine.textContent = `Thought ${thought.filter(Boolean).join(", ")}`;
    const judged = groundedness?.answer.sentences ?? [];
    const ends = toUnits(this.content, judged.map((sentence) => sentence.end));
    const signs = judged.map((sentence, at) => ({ at: ends.get(sentence.end), mark: citations.length + at }));
    const drawMark = (mark) => (citations[mark] ? drawPill(citations[mark], collection) : drawVerdict(judged[mark - citations.length] ?? {}) ?? "");
    this.markdown.finish(this.content, [...placeMarks(this.content, citations), ...signs], drawMark);
    const words = [];
    if (OUTCOMES[outcome]) words.push(note(OUTCOMES[outcome], outcome.startsWith("reasoning_") ? "warn" : "info"));
    if (finish === "length" && outcome === "answered") words.push(note("The answer was cut: it reached its limit of tokens.", "warn"));
    for (const sentence of describeDegraded(degraded)) words.push(note(sentence, "warn"));
    if (unjudged && citations.length) words.push(note(`Its sentences were not checked: ${unjudged}.`));
    const missing = context?.relevance?.missing ?? [];
    if (missing.length) words.push(note(`No passage holds ${missing.join(", ")}.`, "warn"));
    fill(this.notes, ...words);
    this.#drawActions(citations);
  }

  #drawActions(citations) {
    const { collection } = this.chosen;
    const { usage, timings, model, context, groundedness } = this.record ?? {};
    const figures = [model, usage ? `${count(usage.prompt_tokens, "token")} read, ${usage.completion_tokens} written${usage.estimated ? " (estimated)" : ""}` : "", timings ? `${seconds(timings.e2el)} in all` : "", groundedness ? describeClaims(groundedness.answer) : ""];
    const sources = (context?.passages ?? []).map((passage, place) => {
      const quotes = citations.filter((citation) => citation.passage_id === passage.id);
      const open = () => openPassage({ ...passage, start: quotes[0]?.start ?? passage.start, end: quotes[0]?.end ?? passage.end }, collection);
      return h(
        "li",
        { value: String(place + 1) },
        h("button", { type: "button", class: "quiet", onclick: open }, h("span", { dir: "auto" }, passage.title || passage.document_id)),
        h("span", { class: "place", dir: "auto" }, ` ${describePlace(passage)}${quotes.length ? `, cited ${quotes.length === 1 ? "once" : `${quotes.length} times`}` : ""}`),
      );
    });
    const button = (label, act) => h("button", { type: "button", onclick: (event) => act(event.currentTarget) }, label);
    const again = this.again ? this.others().map((name) => button(`Ask ${name}`, () => this.again(name))) : [];
    fill(
      this.after,
      sources.length ? h("details", {}, h("summary", {}, `${count(sources.length, "passage")} in the prompt`), h("ol", {}, ...sources)) : null,
      h("p", { class: "place" }, figures.filter(Boolean).join(" · ")),
      this.record?.content ? drawThumbs(this.record, collection) : null,
      h("p", { class: "row" }, this.record ? button("Copy as Markdown", (element) => copy(this.asMarkdown(), element)) : null, button("Copy as curl", (element) => copy(this.asCurl(), element)), ...again),
    );
  }

  asMarkdown() {
    const lines = [`**${this.question}**`, "", this.content];
    const { citations } = this.record;
    if (citations.length) lines.push("", "Sources:");
    for (const citation of citations) {
      const page = citation.page ? `, page ${citation.page}` : "";
      lines.push(`- [${citation.marker}] ${citation.filename || citation.file_id}${page}, characters ${citation.start} to ${citation.end}: “${citation.quote}”`);
    }
    return lines.join("\n");
  }

  asCurl() {
    const body = JSON.stringify(this.body).replaceAll("'", "'\\''");
    const key = readKey() ? ' -H "Authorization: Bearer $RAGLINE_API_KEY"' : ""; // never the key itself
    return `curl -N ${location.origin}/v1/chat/completions${key} -H 'content-type: application/json' -d '${body}'`;
  }
}
