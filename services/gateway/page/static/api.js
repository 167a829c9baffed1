// The gateway's public API, as this page uses it. The key is kept for this tab's session only.

const KEY = "ragline-key";

export const readKey = () => sessionStorage.getItem(KEY) ?? "";
export const keepKey = (key) => (key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY));

/** What the gateway says instead of a reply. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "", service = "", requestId = "", retryAfter = "" } = {}) {
    super(message);
    Object.assign(this, { status, code, service, requestId, retryAfter });
  }
}

async function send(path, { method = "GET", body, signal } = {}) {
  const headers = { accept: "application/json" };
  if (readKey()) headers.authorization = `Bearer ${readKey()}`;
  const isForm = body instanceof FormData;
  if (body !== undefined && !isForm) headers["content-type"] = "application/json";
  let reply;
  try {
    reply = await fetch(path, { method, headers, signal, body: isForm || body === undefined ? body : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The gateway does not answer: is it running?");
  }
  if (!reply.ok) throw await readError(reply);
  return reply;
}

async function readError(reply) {
  const retryAfter = reply.headers.get("retry-after") ?? "";
  let detail = {};
  try {
    detail = (await reply.json()).error ?? {};
  } catch {
    // no body of ours: the status has to do
  }
  const error = makeError(detail, { status: reply.status, retryAfter });
  if (reply.status === 401) window.dispatchEvent(new CustomEvent("ragline:key", { detail: error.message }));
  return error;
}

function makeError(detail, { status = 0, retryAfter = "" } = {}) {
  return new ApiError(detail.message || `The gateway answered with status ${status}.`, {
    status,
    retryAfter,
    code: detail.code,
    service: detail.service,
    requestId: detail.request_id,
  });
}

export async function getJson(path, options) {
  return (await send(path, options)).json();
}

export async function getText(path, options) {
  return (await send(path, options)).text();
}

export const postJson = (path, body, signal) => getJson(path, { method: "POST", body, signal });
export const deleteJson = (path) => getJson(path, { method: "DELETE" });

/**
 * Read a stream of server-sent events; one `error` event is thrown as an error, `[DONE]` ends it.
 * A stream that ends without its end is an error too: what came is not the whole.
 */
export async function* readEvents(path, { method = "POST", body, signal, last = "[DONE]" } = {}) {
  const reply = await send(path, { method, body, signal });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  let event = "message";
  let data = [];
  let ended = false;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (pending + value).split("\n");
      pending = lines.pop();
      for (const raw of lines) {
        const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
        if (line === "") {
          if (data.length) {
            const text = data.join("\n");
            if (text === last) return;
            const parsed = JSON.parse(text);
            if (event === "error") throw makeError(parsed.error ?? {});
            ended = event === last;
            yield { event, data: parsed };
            if (ended) return;
          }
          event = "message";
          data = [];
        } else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
        else if (line.startsWith("event:")) event = line.slice(6).trim();
      }
    }
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") throw error;
    throw new ApiError(`The connection broke: ${error.message}`);
  } finally {
    reader.cancel().catch(() => {});
  }
  throw new ApiError("The stream ended early: what is shown is not the whole.");
}

let known = null;

/** What the gateway says of its model entries, asked for once; `fresh` asks again. */
export async function readModels(fresh = false) {
  if (!known || fresh) known = getJson("/v1/models");
  try {
    return await known;
  } catch (error) {
    known = null;
    throw error;
  }
}

/** The model entries themselves, without the names under which they answer without passages. */
export const listModels = async (fresh) => (await readModels(fresh)).data.filter((entry) => entry.retrieval !== false);
