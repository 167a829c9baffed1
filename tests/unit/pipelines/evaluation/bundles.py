"""A small bundle for tests: two questions, two arms, two repeats."""

from __future__ import annotations

from itertools import product

from pipelines.context import freeze
from pipelines.evaluation.bundle.records import (
    Answer,
    Bundle,
    Conditions,
    Context,
    DatasetRecord,
    Machine,
    Manifest,
    RunQuestion,
)
from pipelines.evaluation.datasets import Item
from services.core.wire.answer import Timings
from services.core.wire.chat import ModelInfo, Usage
from services.core.wire.compare import ArmReply, ArmRequest
from services.core.wire.passages import Passage

ARMS = (ArmRequest(name="small", model="small"), ArmRequest(name="large", model="large"))
REPEATS = 2


def manifest(**changes: object) -> Manifest:
    made = Manifest(
        version="0.1.0",
        started="2026-11-27T00:00:00Z",
        datasets=(
            DatasetRecord(
                name="mine",
                n=2,
                of=2,
                grounds="given",
                origin="mine.jsonl",
                licence="",
                notice="",
                sha256="0",
            ),
        ),
        arms=ARMS,
        conditions=Conditions(
            seed=1, repeats=REPEATS, concurrency=1, serial=True, cold=True, caches="cold", warm_up=1
        ),
        models=(ModelInfo(id="small", ready=True), ModelInfo(id="large", ready=True)),
        prompts={"plain": "Answer."},
        versions={"ragline": "0.1.0"},
        machine=Machine(system="Linux", processor="a CPU", cores=2, memory=1, python="3.11"),
    )
    return made.model_copy(update=changes)


def bundle() -> Bundle:
    questions = tuple(
        RunQuestion(
            id=f"mine/{name}",
            dataset="mine",
            type="exact",
            text=f"What is {name}?\u2028",
            item=Item(id=name, question=f"What is {name}?", kind="exact", answers=(name,)),
        )
        for name in ("one", "two")
    )
    contexts = tuple(
        Context(
            question=asked.id,
            grounds="given",
            context=freeze([Passage(id="p", document_id="d", text=asked.item.id, end=3)]),
        )
        for asked in questions
    )
    answers = tuple(
        answer(asked, arm.name, repeat, order)
        for order, (asked, arm, repeat) in enumerate(product(questions, ARMS, range(REPEATS)))
    )
    return Bundle(manifest=manifest(), questions=questions, contexts=contexts, answers=answers)


def answer(asked: RunQuestion, arm: str, repeat: int, order: int) -> Answer:
    return Answer(
        question=asked.id,
        arm=arm,
        repeat=repeat,
        order=order,
        at=order + 0.1,
        reply=ArmReply(
            arm=arm,
            model=arm,
            prompt="plain",
            status="answered",
            context_id="c",
            content=f"It is {asked.item.id}.",
            finish_reason="stop",
            usage=Usage(prompt_tokens=9, completion_tokens=3, total_tokens=12),
            timings=Timings(ttft=1 / 3, ttfo=1 / 3, e2el=0.1 + 0.2),
        ),
    )
