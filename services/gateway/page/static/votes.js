// Thumbs for an answer, and votes between several; both are kept by the gateway.

import { postJson } from "./api.js";
import { announce, errorNote, fill, h, note } from "./dom.js";

/** Put a list into a random order. */
export function shuffle(list) {
  const shuffled = [...list];
  for (let at = shuffled.length - 1; at > 0; at -= 1) {
    const other = crypto.getRandomValues(new Uint32Array(1))[0] % (at + 1);
    [shuffled[at], shuffled[other]] = [shuffled[other], shuffled[at]];
  }
  return shuffled;
}

/** Tell people apart, whose votes are not independent, without knowing who they are: by this tab. */
function readPerson() {
  const kept = sessionStorage.getItem("ragline-person") ?? `page-${crypto.randomUUID?.() ?? shuffle([..."0123456789abcdef"]).join("")}`;
  sessionStorage.setItem("ragline-person", kept);
  return kept;
}

async function send(element, feedback) {
  try {
    await postJson("/v1/feedback", { person: readPerson(), ...feedback });
    announce("Kept. Thank you.");
    return true;
  } catch (error) {
    element.append(errorNote(error));
    return false;
  }
}

/** Draw a thumb up and a thumb down, with a place for a reason. */
export function drawThumbs(record, collection) {
  const why = h("input", { "aria-label": "Why", placeholder: "Why? (if you like)", class: "grow" });
  const element = h("div", { class: "row" });
  const vote = async (choice) => {
    const sent = await send(element, {
      question: record.question,
      answers: [{ arm: record.model || "default", content: record.content }],
      choice,
      why: why.value,
      collection,
      context_id: record.context?.context_id ?? "",
    });
    if (sent) fill(element, note(`Kept: thumbs ${choice}.`));
  };
  const button = (choice) => h("button", { type: "button", onclick: () => vote(choice) }, `Thumbs ${choice}`); // words: not every system has the signs
  return fill(element, button("up"), button("down"), why);
}

/** Takes one vote between the arms of a comparison, in the order they are shown in; then `done` is called. */
export class Ballot {
  constructor(reply, labels, chosen, done) {
    this.element = h("section", { class: "row", "aria-label": "Vote" });
    const why = h("input", { "aria-label": "Why", placeholder: "Why? (if you like)", class: "grow" });
    const isBlind = labels.some((label, at) => label !== reply.arms[at].arm);
    const vote = async (choice, words) => {
      const sent = await send(this.element, {
        question: reply.question,
        answers: reply.arms.map((arm) => ({ arm: arm.arm, content: arm.content ?? "" })),
        choice,
        why: why.value,
        blind: isBlind,
        collection: chosen.collection,
        context_id: reply.context.context_id,
      });
      if (!sent) return;
      fill(this.element, note(`Kept: ${words}.`));
      done();
    };
    const button = (choice, words) => h("button", { type: "button", onclick: () => vote(choice, words) }, words);
    const skip = h("button", { type: "button", class: "quiet", onclick: () => (fill(this.element), done()) }, "Show without a vote");
    fill(
      this.element,
      h("strong", {}, "Which answer is best?"),
      ...labels.map((label, at) => button(at, label)),
      button("both", labels.length > 2 ? "all are good" : "both are good"),
      button("neither", "none is good"),
      why,
      isBlind ? skip : null,
    );
  }
}
