// Positions in the API count characters (code points); JavaScript's strings count UTF-16 units.

/** Turn positions in characters into positions in `text` as JavaScript counts; ascending or not. */
export function toUnits(text, positions) {
  const wanted = [...new Set(positions)].sort((left, right) => left - right);
  const found = new Map();
  let unit = 0;
  let point = 0;
  for (const position of wanted) {
    while (point < position && unit < text.length) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
      point += 1;
    }
    found.set(position, unit);
  }
  return found;
}

/** Cut `text` from one character to another. */
export function cut(text, start, end) {
  const units = toUnits(text, [start, end]);
  return text.slice(units.get(start), units.get(end));
}

export function length(text) {
  let points = 0;
  for (const _ of text) points += 1;
  return points;
}

/** Put the texts of passages of one document together again; where some of it is missing there is a gap. */
export function joinPassages(passages) {
  const pieces = [];
  let end = null;
  for (const passage of [...passages].sort((left, right) => left.start - right.start)) {
    const size = length(passage.text);
    const stop = passage.start + size;
    if (end !== null && passage.start > end) pieces.push({ gap: true, start: end, end: passage.start, text: "" });
    const from = end === null ? passage.start : Math.max(end, passage.start);
    if (stop > from) pieces.push({ start: from, end: stop, text: cut(passage.text, from - passage.start, size) });
    end = Math.max(end ?? 0, stop);
  }
  return pieces;
}
