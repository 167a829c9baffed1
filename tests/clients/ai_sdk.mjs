// The Vercel AI SDK, which validates every reply: answers, streams, thinking, structured output, tools, errors.
// Prints one JSON line for each case: {"case", "ok", ...}. Run by test_ai_sdk.py with the gateway's address.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";

const [url, question] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const compatible = createOpenAICompatible({ name: "ragline", baseURL: `${url}/v1`, includeUsage: true });
const providers = { openai: (model) => openai.chat(model), compatible: (model) => compatible(model) };

async function report(name, work) {
  try {
    console.log(JSON.stringify({ case: name, ...(await work()) }));
  } catch (error) {
    const status = error.statusCode ?? error.lastError?.statusCode ?? null;
    console.log(JSON.stringify({ case: name, error: `${error.name}: ${error.message}`.slice(0, 300), status }));
  }
}

for (const [provider, model] of Object.entries(providers)) {
  for (const name of ["plain", "thinking", "tagged", "cut", "uncounted", "unknown", "nobody", "down"]) {
    const options = { model: model(name), prompt: question, maxRetries: 0 };
    await report(`${provider} ${name}`, async () => {
      const { text, reasoningText, finishReason, usage, sources } = await generateText(options);
      return { text, reasoning: reasoningText ?? "", finish: finishReason, tokens: usage.totalTokens ?? 0, sources: sources.length };
    });
    await report(`${provider} ${name} streamed`, async () => {
      let failure;
      const result = streamText({ ...options, onError: ({ error }) => { failure = error; } });
      const pieces = [];
      for await (const piece of result.textStream) pieces.push(piece);
      if (failure) throw failure;
      const finish = await result.finishReason;
      return { text: pieces.join(""), pieces: pieces.length, finish, sources: (await result.sources).length };
    });
  }
}
