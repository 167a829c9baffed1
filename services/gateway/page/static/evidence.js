// Opens the passage of a citation in its document, with the cited words marked.

import { getJson } from "./api.js";
import { errorNote, fill, h, note, openDialog } from "./dom.js";
import { joinPassages, toUnits } from "./text.js";

const AROUND = 3;
const BLANK = 4; // a gap of so few characters is the white space between two passages

/** Say where a passage stands. */
export function describePlace(passage) {
  return [
    passage.section,
    passage.page === undefined || passage.page === null ? "" : `page ${passage.page}`,
    `characters ${passage.start} to ${passage.end}`,
  ].filter(Boolean).join(", ");
}

/** Draw joined pieces of a document; what lies between `start` and `end` is marked. */
export function drawDocument(pieces, start, end) {
  return pieces.flatMap((piece) => {
    const size = piece.end - piece.start;
    if (piece.gap) return [size > BLANK ? h("p", { class: "gap" }, `… ${size} characters that are in no passage …`) : "\n\n"];
    const from = Math.min(Math.max(start - piece.start, 0), piece.end - piece.start);
    const to = Math.min(Math.max(end - piece.start, 0), piece.end - piece.start);
    if (to <= from) return [piece.text];
    const units = toUnits(piece.text, [from, to]);
    const [first, last] = [units.get(from), units.get(to)];
    return [piece.text.slice(0, first), h("mark", {}, piece.text.slice(first, last)), piece.text.slice(last)];
  });
}

/**
 * Open the document around a passage.
 * @param {{id: string, title: string, start: number, end: number, text?: string}} passage `start` and `end` are the
 *   words to mark, in characters of the document
 * @param {string} collection
 */
export async function openPassage(passage, collection) {
  const body = h("div", {}, note("Loading …"));
  const dialog = openDialog(passage.title || "Passage", body);
  try {
    const query = new URLSearchParams({ collection, before: AROUND, after: AROUND });
    const reply = await getJson(`/v1/passages/${encodeURIComponent(passage.id)}/around?${query}`);
    const own = reply.passages.find((found) => found.id === passage.id);
    fill(
      body,
      h("p", { class: "place", dir: "auto" }, describePlace(own)),
      h("div", { class: "document", dir: "auto" }, ...drawDocument(joinPassages(reply.passages), passage.start, passage.end)),
    );
    dialog.querySelector("mark")?.scrollIntoView({ block: "center" });
  } catch (error) {
    fill(body, errorNote(error), passage.text ? h("div", { class: "document", dir: "auto" }, passage.text) : null);
  }
}
