"""`python -m services.generation.measure ENGINE`: one engine's time to first token, in a process of its own.

The entry comes as JSON on stdin; the result is one JSON line on stdout. A child process, so that the
engine's memory is given back and a crash of it (a wheel for another CPU) is an answer too.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import cast

import orjson

from services.core.backends import load
from services.core.errors import ServiceUnavailable
from services.generation.backend import PACKAGE, Engine, EngineModule, Prompt
from services.generation.entry import ModelEntry

REPEATS = 3
POLL_SECONDS = 0.05

_FACTS = "Station {n} recorded {a} visitors and {b} millimetres of rain in week {w}."
SENTENCES = 17
"""About 400 tokens, as a retrieved context has; the numbers differ, so no prefix cache helps."""


def probe(number: int) -> Prompt:
    """The fixed prompt; each `number` gives one that shares no prefix with the others."""
    facts = " ".join(
        _FACTS.format(n=number * 100 + i, a=(i * 37 + number) % 97, b=(i * 53) % 89, w=i % 52)
        for i in range(SENTENCES)
    )
    question = f"{number}. Read this: {facts} Which station had the most visitors?"
    return Prompt(messages=(("user", question),), max_tokens=2, temperature=0, top_p=1)


async def time_to_first_token(engine: Engine, repeats: int = REPEATS) -> float:
    """The median in seconds, after one warm-up."""
    seconds = []
    for number in range(repeats + 1):
        start = time.perf_counter()
        stream = engine.generate(probe(number + 1))
        await anext(stream)
        seconds.append(time.perf_counter() - start)
        await stream.aclose()
    return statistics.median(seconds[1:])


async def run(name: str, entry: ModelEntry) -> float:
    """Load the engine, however long that takes, and measure it."""
    engine = await cast(EngineModule, load(PACKAGE, name)).create(entry)
    try:
        while True:
            try:
                return await time_to_first_token(engine)
            except ServiceUnavailable as error:
                if error.retry_after is None:
                    raise
                await asyncio.sleep(POLL_SECONDS)
    finally:
        await engine.close()


if __name__ == "__main__":
    wanted = ModelEntry.model_validate_json(sys.stdin.buffer.read())
    print(orjson.dumps({"seconds": asyncio.run(run(sys.argv[1], wanted))}).decode())
