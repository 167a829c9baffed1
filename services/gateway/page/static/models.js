// Models: what answers, what each entry can do, and how to swap the default.

import { listModels, readModels } from "./api.js";
import { copy, count, errorNote, fill, h, note, seconds } from "./dom.js";

export async function showModels(main) {
  const body = h("div", {}, note("Loading …"));
  fill(main, h("h1", {}, "Models"), body);
  try {
    const entries = await listModels(true);
    const { first_token: times = {} } = await readModels();
    fill(body, ...(entries.length ? entries.map((entry) => drawEntry(entry, times[entry.id])) : [note("No model entry is configured.", "warn")]));
  } catch (error) {
    fill(body, errorNote(error));
  }
}

function drawEntry(entry, times) {
  const able = Object.entries(entry.capabilities ?? {}).filter(([, can]) => can).map(([name]) => name.replaceAll("_", " "));
  const command = `LLM_BACKEND=${entry.id} ragline restart generation`;
  const facts = [
    ["Model", entry.model_id],
    ["Engine", entry.engine],
    ["Reasoning profile", entry.profile],
    ["Can do", entry.capabilities ? able.join(", ") : "known once it is open"],
    ["First token, last hour", times ? `median ${seconds(times.median)}, the slowest ${seconds(times.slowest)}, ${count(times.n, "answer")} of this gateway` : "no answer yet"],
    ["Falls back to", (entry.fallback ?? []).join(", ")],
    ["Also called", (entry.aliases ?? []).join(", ")],
  ];
  const button = h("button", { type: "button", onclick: (event) => copy(command, event.currentTarget) }, "Copy");
  return h(
    "section",
    { class: "turn", "aria-label": entry.id },
    h("h2", {}, entry.id, " ", entry.default ? h("span", { class: "tag" }, "default") : null, " ", h("span", { class: `tag ${entry.ready ? "good" : "bad"}` }, entry.ready ? "ready" : "not ready")),
    entry.detail ? note(entry.detail, entry.ready ? "info" : "warn") : null,
    h("table", {}, h("tbody", {}, ...facts.filter(([, value]) => value).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { dir: "auto" }, value))))),
    entry.default
      ? h("p", { class: "place" }, "It answers where a request names no model.")
      : h("p", { class: "row" }, h("span", { class: "place" }, "Make it the default: "), h("code", {}, command), button),
  );
}
