"""An engine process with a model that computes nothing: what it does stands in the prompt and in the entry's name.

`python -m tests.unit.generation.openvino_stand_in`
"""

from __future__ import annotations

import os
import sys
import time

from services.core.errors import InvalidRequest
from services.generation.backend import Delta, Prompt, TokenCounts
from services.generation.backends.openvino.protocol import Opening
from services.generation.backends.openvino.worker import serve

STEP_SECONDS = 0.005


class Counting:
    """Says the numbers up to what the prompt asks for, one in a step."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.steps = 0
        self.told = 0
        self.cancelled = False

    def read(self) -> Delta | None:
        if self.told == self.steps:
            return None
        self.told += 1
        if self.told == self.prompt.max_tokens:
            return Delta(f"{self.told}", finish_reason="length", tokens=TokenCounts(1, self.told))
        return Delta(f"{self.told} ")

    def cancel(self) -> None:
        self.cancelled = True


class StandIn:
    """A model with as many requests as there come."""

    def __init__(self) -> None:
        self.running: list[Counting] = []

    def start(self, prompt: Prompt) -> Counting:
        text = prompt.messages[-1][1]
        if text == "refuse":
            raise InvalidRequest("no such template")
        if text == "print":
            os.write(1, b"[ INFO ] " + b"noise " * 20_000)
        self.running.append(Counting(prompt))
        return self.running[-1]

    def is_busy(self) -> bool:
        self.running = [request for request in self.running if not request.cancelled]
        return bool(self.running)

    def step(self) -> None:
        time.sleep(STEP_SECONDS)
        for request in self.running:
            if request.prompt.messages[-1][1] == "fail" and request.told:
                raise RuntimeError("out of memory")
            if request.prompt.messages[-1][1] == "hang" and request.told:
                time.sleep(60)
            request.steps += 1


def open_stand_in(opening: Opening) -> StandIn:
    if opening.name == "broken":
        raise RuntimeError("bad magic")
    if opening.name == "dies":
        print("terminate called after throwing: illegal instruction", file=sys.stderr, flush=True)
        os.abort()
    if opening.name == "slow":
        time.sleep(60)
    return StandIn()


if __name__ == "__main__":
    serve(open_stand_in)
