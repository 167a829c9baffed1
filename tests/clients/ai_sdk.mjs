// The Vercel AI SDK, which validates every reply: answers, streams, thinking, structured output, tools, errors.
// Prints one JSON line for each case: {"case", "ok", ...}. Run by test_ai_sdk.py with the gateway's address.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [url, question] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const settings = { name: "ragline", baseURL: `${url}/v1`, includeUsage: true, supportsStructuredOutputs: true };
const compatible = createOpenAICompatible(settings);
const providers = { openai: (model) => openai.chat(model), compatible: (model) => compatible(model), responses: (model) => openai.responses(model) };

async function report(name, work) {
  try {
    console.log(JSON.stringify({ case: name, ...(await work()) }));
  } catch (error) {
    const status = error.statusCode ?? error.lastError?.statusCode ?? null;
    console.log(JSON.stringify({ case: name, error: `${error.name}: ${error.message}`.slice(0, 300), status }));
  }
}

const product = z.object({ name: z.string(), count: z.number().int() });

for (const [provider, model] of Object.entries(providers)) {
  await report(`${provider} object`, async () => {
    const { object } = await generateObject({ model: model("tooled"), schema: product, prompt: question, maxRetries: 0 });
    return { object };
  });
  for (const how of ["", " streamed"]) {
    const places = [];
    const count = tool({
      description: "Counts hives.",
      inputSchema: z.object({ place: z.string() }),
      execute: async ({ place }) => { places.push(place); return 12; },
    });
    const asked = { model: model("tooled"), prompt: question, tools: { count }, stopWhen: stepCountIs(3), maxRetries: 0 };
    await report(`${provider} tool${how}`, async () => {
      const text = how ? await streamText(asked).text : (await generateText(asked)).text;
      return { text, places };
    });
  }
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
