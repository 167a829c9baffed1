"""Plain chains of other frameworks over Ragline's engine and search, for bench-laptop; in the clients' environment.

Reads `{"question", "max_tokens"}` a line, writes `{"text", "ttft", "e2el", "prompt_tokens"}` a line, seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator

import httpx

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

PROMPT = (
    "{kind}: answer the question briefly from the context.\n\nContext:\n{context}\n\nQuestion: {question}"
)
"""`kind` comes first, so that no chain finds its prompt in the prefix cache that another one filled."""

Ask = Callable[[str, int], Iterator[tuple[str, int]]]
"""Yields pieces of the answer, and the prompt's tokens where they are known."""


def search(question: str) -> str:
    """Find the texts of the best passages, as both chains get them."""
    body = json.dumps({"question": question, "rag": {"select": "off", "floor": 0}}).encode()
    url = f"{os.environ['RAGLINE_URL']}/v1/search"
    reply = httpx.post(url, content=body, headers={"content-type": "application/json"}, timeout=60)
    passages = reply.raise_for_status().json()["context"]["passages"]
    return "\n\n".join(passage["text"] for passage in passages)


def make_langchain(model: str) -> Ask:
    from langchain_core.prompts import ChatPromptTemplate  # noqa: PLC0415 - one framework a process
    from langchain_core.runnables import RunnableLambda  # noqa: PLC0415 - one framework a process
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - one framework a process

    def ask(question: str, most: int) -> Iterator[tuple[str, int]]:
        chat = ChatOpenAI(
            model=f"{model}:direct", base_url=f"{os.environ['RAGLINE_URL']}/v1", api_key="none",
            temperature=0, max_tokens=most, stream_usage=True, max_retries=0,
        )  # fmt: skip
        context = {"context": RunnableLambda(search), "question": RunnableLambda(str)}
        for chunk in (
            context | ChatPromptTemplate.from_template(PROMPT.replace("{kind}", "LangChain")) | chat
        ).stream(question):
            usage = chunk.usage_metadata
            yield str(chunk.content), usage["input_tokens"] if usage else 0

    return ask


def make_haystack(model: str) -> Ask:
    from haystack import Pipeline, component  # noqa: PLC0415 - one framework a process
    from haystack.components.builders import ChatPromptBuilder  # noqa: PLC0415 - one framework a process
    from haystack.components.generators.chat import OpenAIChatGenerator  # noqa: PLC0415 - one framework a process
    from haystack.dataclasses import ChatMessage, StreamingChunk  # noqa: PLC0415 - one framework a process
    from haystack.utils import Secret  # noqa: PLC0415 - one framework a process

    @component
    class Search:
        @component.output_types(context=str)
        def run(self, question: str) -> dict[str, str]:
            return {"context": search(question)}

    template = (
        PROMPT.replace("{kind}", "Haystack")
        .replace("{context}", "{{context}}")
        .replace("{question}", "{{question}}")
    )
    pipeline = Pipeline()
    pipeline.add_component("search", Search())
    pipeline.add_component(
        "prompt", ChatPromptBuilder([ChatMessage.from_user(template)], required_variables="*")
    )
    seen: list[StreamingChunk] = []
    times: list[float] = []

    def keep(chunk: StreamingChunk) -> None:
        if chunk.content:
            times.append(time.perf_counter())
        seen.append(chunk)

    generator = OpenAIChatGenerator(
        api_key=Secret.from_token("none"), model=f"{model}:direct",
        api_base_url=f"{os.environ['RAGLINE_URL']}/v1", max_retries=0, streaming_callback=keep,
    )  # fmt: skip
    pipeline.add_component("llm", generator)
    pipeline.connect("search.context", "prompt.context")
    pipeline.connect("prompt.prompt", "llm.messages")

    def ask(question: str, most: int) -> Iterator[tuple[str, int]]:
        seen.clear()
        times.clear()
        settings = {
            "temperature": 0, "max_tokens": most, "stream_options": {"include_usage": True},
        }  # fmt: skip
        made = pipeline.run(
            {
                "search": {"question": question},
                "prompt": {"question": question},
                "llm": {"generation_kwargs": settings},
            }
        )
        reply = made["llm"]["replies"][0]
        usage = reply.meta.get("usage") or {}
        yield f"@{times[0] if times else time.perf_counter()}", 0
        yield reply.text or "", int(usage.get("prompt_tokens") or 0)

    return ask


def main() -> None:
    kind, model = sys.argv[1:3]
    ask = {"langchain": make_langchain, "haystack": make_haystack}[kind](model)
    for line in sys.stdin:
        asked = json.loads(line)
        start = time.perf_counter()
        text, first, tokens = "", 0.0, 0
        for piece, count in ask(asked["question"], asked["max_tokens"]):
            if piece.startswith("@") and kind == "haystack":  # when its callback saw the first token
                first = float(piece[1:])
                continue
            if piece and not first:
                first = time.perf_counter()
            text, tokens = text + piece, count or tokens
        end = time.perf_counter()
        reply = {"text": text, "ttft": (first or end) - start, "e2el": end - start, "prompt_tokens": tokens}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
