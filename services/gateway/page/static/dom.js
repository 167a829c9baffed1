// Makes elements. Text only ever becomes text: nothing here, or in any other module, parses HTML.

/**
 * Make an element.
 * @param {string} tag
 * @param {Object} [props] `class`, `on...` handlers, `data` attributes; any other name is an attribute
 * @param {...(Node|string|null|undefined|false)} children
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child);
  }
}

/** Put these children in the place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Tell a screen reader. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Draw a short message; an error has its own look and is told at once. */
export function note(text, kind = "info") {
  return h("p", { class: `note ${kind}`, role: kind === "error" ? "alert" : null }, text);
}

/** Draw an error of the API as words: what happened, what is down, when to come again. */
export function errorNote(error) {
  const parts = [error.message || String(error)];
  if (error.retryAfter) parts.push(`Try again in ${error.retryAfter} s.`);
  if (error.requestId) parts.push(`(request ${error.requestId})`);
  return note(parts.join(" "), "error");
}

/** Open a dialog that closes by Escape, by its button and by a click beside it. */
export function openDialog(title, ...children) {
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Close" }, "✕");
  const heading = h("h2", { dir: "auto", id: "dialog-title" }, title);
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h("div", { class: "dialog-head" }, heading, close),
    h("div", { class: "dialog-body", tabindex: "0", role: "region", "aria-label": "Content" }, ...children),
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask whether to go on. */
export function confirmed(question, action) {
  return new Promise((resolve) => {
    let answer = false;
    const yes = h("button", { type: "button", class: "danger" }, action);
    const no = h("button", { type: "button" }, "Keep");
    const dialog = openDialog("Are you sure?", h("p", { dir: "auto" }, question), h("p", { class: "row" }, yes, no));
    yes.addEventListener("click", () => ((answer = true), dialog.close()));
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(answer));
    no.focus();
  });
}

export async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    openDialog("Copy this", h("textarea", { rows: "12", readonly: true, "aria-label": "Text to copy" }, text));
  }
  setTimeout(() => (button.textContent = label), 1500);
}

export const seconds = (milliseconds) =>
  milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
