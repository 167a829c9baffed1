// Documents: bring files, watch them being parsed, embedded and stored, see what is there, delete it.

import { deleteJson, getJson, postJson, readEvents } from "./api.js";
import { announce, confirmed, count, errorNote, fill, h, note, openDialog } from "./dom.js";
import { describePlace } from "./evidence.js";

const AT_ONCE = 100; // rows that are shown at once: thousands would make every key and every turn of a wheel slow
const PAGE = 20;
const STATES = { queued: "waits its turn", running: "in work", waiting: "waits", done: "done", failed: "failed", cancelled: "cancelled" };

export function showDocuments(main, place) {
  const collection = h("input", { value: place.query.get("collection") ?? "default", size: "12", id: "collection" });
  const files = h("input", { type: "file", multiple: true, class: "unseen", id: "files", tabindex: "-1" });
  const folder = h("input", { type: "file", webkitdirectory: true, class: "unseen", tabindex: "-1" });
  const chooseFiles = h("button", { type: "button", class: "main", onclick: () => files.click() }, "Choose files");
  const chooseFolder = h("button", { type: "button", onclick: () => folder.click() }, "Choose a folder");
  files.setAttribute("aria-label", "Files");
  folder.setAttribute("aria-label", "A folder");
  const drop = h("div", { class: "drop" }, h("p", {}, "Drop files or folders here: PDF, office files, HTML, Markdown, tables, JSON, code, archives."), h("p", {}, chooseFiles, " ", chooseFolder), files, folder);
  const uploads = h("section", { "aria-label": "Uploads" });
  const filter = h("input", { type: "search", id: "filter", placeholder: "part of a name" });
  const listing = h("section", { "aria-label": "Documents" });
  fill(
    main,
    h("h1", {}, "Documents"),
    h("div", { class: "row" }, h("label", {}, "Collection", collection), h("label", { class: "grow" }, "Filter", filter)),
    drop,
    uploads,
    listing,
  );
  const readCollection = () => collection.value.trim() || "default";
  const bring = (chosen) => chosen.length && uploads.prepend(new Upload(chosen, readCollection(), { bring, done: () => list.load() }).element);
  const list = new Listing(listing, filter, readCollection, bring);

  files.addEventListener("change", () => (bring([...files.files]), (files.value = "")));
  folder.addEventListener("change", () => (bring([...folder.files]), (folder.value = "")));
  collection.addEventListener("change", () => {
    place.keep({ collection: readCollection() === "default" ? "" : readCollection() });
    list.load();
  });
  filter.addEventListener("input", () => list.draw());
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop") readDropped(event.dataTransfer).then(bring);
    });
  }
  list.load();
}

/** Read what was dropped, folders with all that is in them; a file of a folder keeps its path as its name. */
async function readDropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      file.path = entry.fullPath.replace(/^\//, "");
      found.push(file);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const child of some) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  return found;
}

/** One upload: a job, followed file by file. */
class Upload {
  constructor(files, collection, { bring, done }) {
    Object.assign(this, { files, collection, bring, done });
    this.rows = files.map((file) => h("li", {}, h("span", { dir: "auto" }, this.#name(file)), " ", h("span", { class: "place" }, "sent …")));
    this.head = h("h2", {}, `Bringing ${count(files.length, "file")}`);
    this.problem = h("div");
    this.next = h("p");
    this.list = h("ul", { class: "files" }, ...this.rows);
    this.element = h("section", {}, this.head, this.problem, this.list, this.next);
    this.#run();
  }

  #name(file) {
    return file.path || file.webkitRelativePath || file.name;
  }

  async #run() {
    fill(this.problem);
    const form = new FormData();
    form.append("collection", this.collection);
    for (const file of this.files) form.append("files", file, this.#name(file));
    try {
      const job = await postJson("/v1/jobs", form);
      for await (const { event, data } of readEvents(`/v1/jobs/${encodeURIComponent(job.id)}/events`, { method: "GET", last: "done" })) {
        if (event === "file") this.#drawFile(data.index, data.file);
        else data.files?.forEach((file, index) => this.#drawFile(index, file));
        if (event === "done") this.#finish(data);
      }
    } catch (error) {
      const again = h("button", { type: "button", onclick: () => this.#run() }, "Try again");
      fill(this.problem, errorNote(error), again);
    }
  }

  #drawFile(index, file) {
    const parts = [h("span", { dir: "auto" }, file.name), " "];
    if (file.passages && !["done", "failed"].includes(file.status)) {
      parts.push(h("progress", { max: String(file.passages), value: file.stored, "aria-label": `${file.name}: stored` }), ` ${file.embedded} embedded, ${file.stored} stored of ${count(file.passages, "passage")}`);
    } else if (file.status === "done") {
      parts.push(h("span", { class: "tag good" }, file.outcome === "unchanged" ? "unchanged" : count(file.passages, "passage")));
    } else {
      parts.push(h("span", { class: `tag ${file.status === "failed" ? "bad" : ""}` }, STATES[file.status] ?? file.status));
    }
    if (file.reason && file.status === "waiting") parts.push(h("span", { class: "place" }, ` ${file.reason}`));
    if (file.error) parts.push(h("span", { class: "place", dir: "auto" }, ` ${file.error.message}`));
    for (const warning of file.warnings ?? []) parts.push(note(warning.message, "warn"));
    if (file.status === "failed" && this.files[index]) parts.push(" ", this.#drawRetry(file.name, this.files[index]));
    this.rows[index] ??= this.list.appendChild(h("li"));
    fill(this.rows[index], ...parts);
  }

  #drawRetry(name, file) {
    const retry = (event) => {
      event.currentTarget.disabled = true;
      this.bring([file]);
    };
    return h("button", { type: "button", "aria-label": `Bring ${name} again`, onclick: retry }, "Try again");
  }

  #finish(job) {
    const failed = job.files.filter((file) => file.status === "failed").length;
    const there = job.files.length - failed;
    this.head.textContent = `${count(there, "file")} there${failed ? `, ${failed} failed` : ""}`;
    announce(this.head.textContent);
    const place = this.collection === "default" ? "" : `?${new URLSearchParams({ collection: this.collection })}`;
    if (there) fill(this.next, h("a", { href: `#/ask${place}` }, there === 1 ? "Ask about it" : "Ask about them"));
    this.done();
  }
}

class Listing {
  constructor(element, filter, readCollection, bring) {
    Object.assign(this, { element, filter, readCollection, bring, documents: [] });
  }

  async load() {
    if (!this.documents.length) fill(this.element, note("Loading …"));
    try {
      const reply = await getJson(`/v1/documents?${new URLSearchParams({ collection: this.readCollection() })}`);
      this.documents = reply.documents;
      this.draw();
    } catch (error) {
      fill(this.element, errorNote(error));
    }
  }

  draw() {
    const wanted = this.filter.value.trim().toLowerCase();
    const shown = this.documents.filter((document) => document.name.toLowerCase().includes(wanted));
    const passages = shown.reduce((sum, document) => sum + document.passages, 0);
    const rows = h("ul", { class: "list", id: "documents" });
    fill(
      this.element,
      h("h2", {}, `${count(shown.length, "document")}${wanted ? ` of ${this.documents.length}` : ""}, ${count(passages, "passage")}`),
      this.documents.length ? rows : note("Nothing here yet. Drop a file above: it is searchable as soon as it is stored."),
    );
    let from = 0;
    const more = h("button", { type: "button", onclick: () => show().querySelector("button").focus() });
    const show = () => {
      const added = shown.slice(from, from + AT_ONCE).map((document) => this.#row(document));
      rows.append(...added);
      from += added.length;
      more.textContent = `Show more (${(shown.length - from).toLocaleString("en")} left)`;
      more.hidden = from >= shown.length;
      return added[0];
    };
    this.element.append(more);
    show();
  }

  #row(document) {
    const read = h("button", { type: "button", class: "quiet", onclick: () => openDocument(document, this.readCollection()) }, h("span", { dir: "auto" }, document.name));
    const remove = h("button", { type: "button", class: "danger", "aria-label": `Delete ${document.name}`, onclick: () => this.#delete(document) }, "Delete");
    const replace = h("button", { type: "button", "aria-label": `Replace ${document.name}`, onclick: () => this.#replace(document) }, "Replace");
    return h("li", {}, h("div", { class: "row" }, h("span", { class: "grow" }, read, " ", h("span", { class: "place" }, count(document.passages, "passage"))), replace, remove));
  }

  /** Bring another file under a document's name: its passages take the place of the old ones, all at once. */
  #replace(document) {
    const kind = /\.[^./]+$/.exec(document.name)?.[0] ?? "";
    const input = h("input", { type: "file", accept: kind || null });
    input.addEventListener("change", () => {
      const [file] = input.files;
      if (!file) return;
      if (kind && !file.name.toLowerCase().endsWith(kind.toLowerCase())) {
        this.element.prepend(note(`${file.name} cannot take the place of ${document.name}: choose a file that ends in ${kind}.`, "error"));
        return;
      }
      this.bring([new File([file], document.name, { type: file.type })]);
    });
    input.click();
  }

  async #delete(document) {
    if (!(await confirmed(`${document.name} and its ${count(document.passages, "passage")} will be gone.`, "Delete"))) return;
    try {
      await deleteJson(`/v1/documents/${encodeURIComponent(document.id)}?${new URLSearchParams({ collection: this.readCollection() })}`);
      announce(`${document.name} is deleted.`);
      await this.load();
    } catch (error) {
      this.element.prepend(errorNote(error));
    }
  }
}

/** Show a document's passages as the search sees them, some at a time. */
function openDocument(document, collection) {
  const list = h("ol", { class: "list" });
  const more = h("button", { type: "button" }, "More passages");
  const problem = h("div");
  openDialog(document.name, list, problem, more);
  let shown = 0;
  const load = async () => {
    more.disabled = true;
    try {
      const query = new URLSearchParams({ collection, first: shown, limit: PAGE });
      const reply = await getJson(`/v1/documents/${encodeURIComponent(document.id)}/passages?${query}`);
      list.append(...reply.passages.map((passage) => h("li", {}, h("p", { class: "place", dir: "auto" }, describePlace(passage)), h("div", { class: "document", dir: "auto" }, passage.text))));
      shown += reply.passages.length;
      more.hidden = shown >= reply.total || !reply.passages.length;
    } catch (error) {
      fill(problem, errorNote(error));
    }
    more.disabled = false;
  };
  more.addEventListener("click", load);
  load();
}
