// Whether a sentence rests on its passages: the sign behind it, and the count of an answer's claims.

import { count, h } from "./dom.js";

const SIGNS = { supported: "✓", unsupported: "?", contradicted: "✗", "not judged": "–" };

/** Draw the sign behind a judged sentence; null where it is no claim. */
export function drawVerdict(sentence) {
  const sign = SIGNS[sentence.verdict];
  if (!sign) return null;
  const words = `${sentence.verdict}${sentence.p_supported === undefined ? "" : `, p ${sentence.p_supported.toFixed(2)}`}`;
  return h("span", { class: `verdict ${sentence.verdict.replaceAll(" ", "-")}`, role: "img", title: words, "aria-label": sentence.verdict }, sign);
}

/** Say how many claims of an answer its passages support; empty where it makes none. */
export function describeClaims({ claims, supported, unsupported, contradicted, not_judged: left }) {
  const parts = [claims ? `${supported} of ${count(claims, "claim")} supported, ${unsupported} unsupported, ${contradicted} contradicted` : "", left ? `${left} not judged` : ""];
  return parts.filter(Boolean).join(", ");
}
