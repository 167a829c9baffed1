// Renders a small subset of Markdown into elements. Nothing of the source is ever parsed as HTML, and links
// lead to http and https alone, so that a hostile answer is no more than text.

import { h } from "./dom.js";

const OPEN = "\uE000";
const CLOSE = "\uE001";
const SENTINELS = /[\uE000\uE001]/g;

// every repetition is bounded, so that no text makes the search quadratic
const INLINE = new RegExp(
  [
    /(?<ticks>`{1,3})(?<code>[^`](?:[\s\S]{0,500}?[^`])?)\k<ticks>(?!`)/,
    /\*\*(?<bold>[^*\s](?:[\s\S]{0,500}?[^*\s])?)\*\*/,
    /\*(?<italic>[^*\s](?:[^*\n]{0,300}?[^*\s])?)\*/,
    /\[(?<label>[^\]\n]{1,300})\]\((?<href>https?:\/\/[^\s)]{1,2000})\)/,
    /(?<bare>https?:\/\/[^\s<>"')\]\uE000]{1,2000})/,
    /\uE000(?<mark>\d{1,6})\uE001/,
  ]
    .map((part) => part.source)
    .join("|"),
  "g",
);
const LONG_BLOCK = 20_000;
const SLICE = 12; // milliseconds of drawing without a pause
const FENCE = /^ {0,3}(```|~~~)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const ROW = /^\s*\|.*\|\s*$/;
const RULE = /^\s*\|?[\s:|-]*-[\s:|-]*\|?\s*$/;

function link(href, label) {
  return h("a", { href, rel: "noopener noreferrer", target: "_blank" }, label);
}

function drawInline(text, drawMark) {
  if (text.length > LONG_BLOCK) return [text.replace(SENTINELS, "")];
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > at) nodes.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    const { code, bold, italic, label, href, bare, mark } = match.groups;
    if (code !== undefined) nodes.push(...drawCode(code, drawMark, (plain) => h("code", {}, plain)));
    else if (bold !== undefined) nodes.push(h("strong", {}, ...drawInline(bold, drawMark)));
    else if (italic !== undefined) nodes.push(h("em", {}, ...drawInline(italic, drawMark)));
    else if (href !== undefined) nodes.push(link(href, label.replace(SENTINELS, "")));
    else if (bare !== undefined) nodes.push(link(bare, bare));
    else nodes.push(drawMark(Number(mark)));
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

/** Code is shown as it is; marks that fall into it stand behind it. */
function drawCode(code, drawMark, draw) {
  const marks = [...code.matchAll(/\uE000(\d{1,6})\uE001/g)].map((match) => drawMark(Number(match[1])));
  return [draw(code.replace(/\uE000\d{1,6}\uE001/g, "")), ...marks];
}

function drawList(lines, drawMark) {
  const ordered = ITEM.exec(lines[0])[2];
  const list = h(ordered ? "ol" : "ul", { dir: "auto", start: ordered && ordered !== "1" ? ordered : null });
  const indent = ITEM.exec(lines[0])[1].length;
  let item = null;
  let nested = [];
  const close = () => {
    if (item && nested.length) item.append(drawList(nested, drawMark));
    nested = [];
  };
  for (const line of lines) {
    const match = ITEM.exec(line);
    if (match && (match[1].length < indent + 2 || !item)) {
      close();
      item = h("li", {}, ...drawInline(match[3], drawMark));
      list.append(item);
    } else if (match || nested.length) nested.push(line);
    else item.append(" ", ...drawInline(line.trim(), drawMark));
  }
  close();
  return list;
}

function drawTable(lines, drawMark) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
  const row = (line, tag) => h("tr", {}, ...cells(line).map((cell) => h(tag, { dir: "auto" }, ...drawInline(cell, drawMark))));
  const body = lines.slice(2).map((line) => row(line, "td"));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, row(lines[0], "th")), h("tbody", {}, ...body)));
}

/** Take lines from `at` on for as long as they fit. */
function take(lines, at, fits) {
  let end = at;
  while (end < lines.length && fits(lines[end])) end += 1;
  return lines.slice(at, end);
}

const starts = (line) => !line.trim() || FENCE.test(line) || HEADING.test(line) || ITEM.test(line) || /^\s*>/.test(line);

/**
 * Draw Markdown.
 * @param {string} source
 * @param {(number: number) => Node} [drawMark] draws the mark that `insertMarks` put there
 * @returns {Node[]} the blocks
 */
export const drawMarkdown = (source, drawMark) => [...drawBlocks(source, drawMark)];

/** Draw it block by block. */
function* drawBlocks(source, drawMark = () => "") {
  const lines = source.split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const heading = HEADING.exec(line);
    if (!line.trim()) at += 1;
    else if (FENCE.test(line)) {
      const fence = FENCE.exec(line)[1];
      const inside = take(lines, at + 1, (next) => !next.trimStart().startsWith(fence));
      yield* drawCode(inside.join("\n"), drawMark, (plain) => h("pre", {}, h("code", {}, plain)));
      at += inside.length + 2;
    } else if (heading) {
      const level = Math.min(6, heading[1].length + 2); // the page's own headings are above an answer's
      yield h(`h${level}`, { dir: "auto" }, ...drawInline(heading[2], drawMark));
      at += 1;
    } else if (ITEM.test(line)) {
      const items = take(lines, at, (next) => next.trim() && !FENCE.test(next) && !HEADING.test(next));
      yield drawList(items, drawMark);
      at += items.length;
    } else if (ROW.test(line) && RULE.test(lines[at + 1] ?? "")) {
      const rows = take(lines, at, (next) => ROW.test(next));
      yield drawTable(rows, drawMark);
      at += rows.length;
    } else if (/^\s*>/.test(line)) {
      const quoted = take(lines, at, (next) => /^\s*>/.test(next));
      const inner = quoted.map((next) => next.replace(/^\s*>\s?/, "")).join("\n");
      const tooDeep = (/^(?:>\s?)+/.exec(inner)?.[0] ?? "").length > 16;
      yield h("blockquote", { dir: "auto" }, ...(tooDeep ? [inner] : drawMarkdown(inner, drawMark)));
      at += quoted.length;
    } else {
      const rest = take(lines, at + 1, (next) => !starts(next));
      yield h("p", { dir: "auto" }, ...drawInline([line, ...rest].join("\n"), drawMark));
      at += rest.length + 1;
    }
  }
}

/**
 * Put marks into a source.
 * @param {string} source
 * @param {Array<{at: number, skip?: number, mark: number}>} marks `at` in UTF-16 units; `skip` units after it
 *   are left out
 */
export function insertMarks(source, marks) {
  let out = "";
  let at = 0;
  for (const { at: place, skip = 0, mark } of [...marks].sort((left, right) => left.at - right.at)) {
    if (place > at) out += source.slice(at, place).replace(SENTINELS, "\uFFFD");
    out += `${OPEN}${mark}${CLOSE}`;
    at = Math.max(at, place + skip);
  }
  return out + source.slice(at).replace(SENTINELS, "\uFFFD");
}

/** Shows Markdown while it arrives: finished blocks once, what is still growing as text, once per frame. */
export class GrowingMarkdown {
  constructor(element) {
    this.element = element;
    this.source = "";
    this.drawn = 0;
    this.tail = null;
    this.shown = 0;
    this.frame = 0;
  }

  push(text) {
    this.source += text;
    this.frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.frame = 0;
    const end = this.#safeEnd();
    if (end > this.drawn) {
      this.tail?.remove();
      this.tail = null;
      this.element.append(...drawMarkdown(this.source.slice(this.drawn, end).replace(SENTINELS, "\uFFFD")));
      this.drawn = end;
    }
    if (!this.tail) {
      this.tail = h("p", { dir: "auto", class: "growing" }, " ");
      this.element.append(this.tail);
      this.shown = this.drawn;
    }
    // appended, not written anew: a long block costs no more at its end than at its beginning
    this.tail.firstChild.appendData(this.source.slice(this.shown));
    this.shown = this.source.length;
  }

  /** Find the end of the last block that can change no more: a blank line outside of fenced code. */
  #safeEnd() {
    const end = this.source.lastIndexOf("\n\n");
    if (end < this.drawn) return this.drawn;
    const part = this.source.slice(this.drawn, end);
    const fences = part.split("\n").filter((line) => FENCE.test(line)).length;
    return fences % 2 ? this.drawn : end + 2;
  }

  /** Draw the whole, with its marks; a long one in slices, so that it never holds the page up. */
  async finish(source = this.source, marks = [], drawMark = undefined) {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.tail = null;
    const drawing = (this.drawing = Symbol());
    const blocks = [];
    const pause = () => new Promise((resolve) => setTimeout(resolve));
    if (source.length > LONG_BLOCK) await pause();
    let begun = performance.now();
    for (const block of drawBlocks(insertMarks(source, marks), drawMark)) {
      blocks.push(block);
      if (performance.now() - begun < SLICE) continue;
      await pause();
      if (this.drawing !== drawing) return;
      begun = performance.now();
    }
    if (this.drawing === drawing) this.element.replaceChildren(...blocks);
  }
}
