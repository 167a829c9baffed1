// Search: the passages that an answer would come from, with the score of each stage.

import { postJson } from "./api.js";
import { count, errorNote, fill, h, note, seconds } from "./dom.js";
import { describePlace, openPassage } from "./evidence.js";

const RULES = {
  floor: "A passage needed a cosine of at least the floor, or an identifier of the question.",
  words: "The embedding model does not know this language well: a passage needed a share of the question's words.",
  model: "Question and passages are of two languages: no floor is applied, the model must decide.",
  off: "No floor was applied.",
};
const SCORES = [["score", "meaning"], ["sparse_score", "words"], ["fused_score", "both"], ["rerank_score", "reranked"], ["word_share", "share of words"]];

export function showSearch(main, place) {
  const question = h("input", { value: place.query.get("q") ?? "", id: "question", type: "search" });
  const collection = h("input", { value: place.query.get("collection") ?? "default", size: "12" });
  const top = h("input", { type: "number", min: "1", max: "50", value: "10" });
  const all = h("input", { type: "checkbox", checked: place.query.get("all") === "1" });
  const found = h("section", { "aria-label": "Passages", "aria-live": "polite" });
  const form = h(
    "form",
    { class: "row" },
    h("label", { class: "grow" }, "Search for", question),
    h("label", {}, "Collection", collection),
    h("label", {}, "Passages", top),
    h("label", { class: "line" }, all, "also what is under the floor"),
    h("button", { class: "main" }, "Search"),
  );
  fill(main, h("h1", {}, "Search"), h("p", { class: "place" }, "What an answer would come from, and why. No model is asked."), form, found);

  async function run() {
    const text = question.value.trim();
    if (!text) return;
    place.keep({ q: text, collection: collection.value, all: all.checked ? "1" : "" });
    fill(found, note("Searching …"));
    const rag = { collection: collection.value.trim() || "default", top_n: Number(top.value) || 10 };
    if (all.checked) rag.floor = 0;
    try {
      const reply = await postJson("/v1/search", { question: text, rag }, place.signal);
      fill(found, ...drawReply(reply, rag.collection));
    } catch (error) {
      if (error.name !== "AbortError") fill(found, errorNote(error));
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  question.focus();
  run();
}

function drawReply({ context, timings, degraded }, collection) {
  const { relevance, repeated = [] } = context;
  const words = [];
  if (relevance) {
    words.push(RULES[relevance.rule] ?? "");
    if (relevance.identifiers?.length) words.push(`Identifiers: ${relevance.identifiers.join(", ")}.`);
    if (relevance.missing?.length) words.push(`In no passage: ${relevance.missing.join(", ")}.`);
  }
  if (repeated.length) words.push(`${count(repeated.length, "passage")} with the same text as one of these left out.`);
  const rows = context.passages.map((passage) =>
    h(
      "li",
      {},
      h("button", { type: "button", class: "quiet", onclick: () => openPassage(passage, collection) }, h("strong", { dir: "auto" }, passage.title || passage.document_id)),
      h("p", { class: "place", dir: "auto" }, describePlace(passage)),
      h("p", { class: "place" }, SCORES.filter(([name]) => passage[name] !== undefined && passage[name] !== null).map(([name, label]) => `${label} ${passage[name].toFixed(3)}`).join(" · "), passage.matched?.length ? ` · holds ${passage.matched.join(", ")}` : ""),
      h("div", { class: "document", dir: "auto" }, passage.text.length > 600 ? `${passage.text.slice(0, 600)} …` : passage.text),
    ),
  );
  return [
    h("p", { class: "place" }, `${count(rows.length, "passage")} in ${seconds(timings.e2el)}. ${words.filter(Boolean).join(" ")}`),
    ...degraded.map((stage) => note(`The stage ${stage} failed and was left out.`, "warn")),
    rows.length ? h("ol", { class: "list" }, ...rows) : note("Nothing relevant was found: a question like this is answered with an abstention.", "warn"),
  ];
}
