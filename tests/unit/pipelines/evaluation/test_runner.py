"""The parts of a run: the order of asking, the words, what is sent again and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.context import freeze
from pipelines.evaluation.datasets import Dataset, Item, Source, load_dataset
from pipelines.evaluation.runner import SilentWatcher, plan
from pipelines.evaluation.runner.asking import Asker
from pipelines.evaluation.runner.contexts import (
    PassageOrigin,
    choose_origin,
    name_corpus_collection,
    name_corpus_files,
)
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.plan import ChosenDataset, Options, schedule, word_question
from pipelines.evaluation.runner.run import Evaluation, run
from services.core.errors import (
    ErrorDetail,
    InvalidRequest,
    RaglineError,
    RateLimited,
    ServiceUnavailable,
    Unauthorized,
)
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmReply, ArmRequest
from services.core.wire.passages import Passage

ARM = ArmRequest(name="a", model="m", prompt="plain")
CONTEXT = freeze([Passage(id="p", document_id="d", text="word", end=4)])
ANSWERED = ArmReply(arm="a", model="m", status="answered", context_id=CONTEXT.context_id, content="word")


def failed(code: str) -> ArmReply:
    error = ErrorDetail(type="server_error", code=code, message=code, service="generation")
    return ANSWERED.model_copy(update={"status": "failed", "content": "", "error": error})


class Scripted(Gateway):
    """Replies, or raises, in this order; the last one for ever."""

    def __init__(self, *steps: ArmReply | RaglineError) -> None:
        self.name = "gateway"
        self.steps = list(steps)
        self.asked = 0

    async def ask(self, question: str, arm: ArmRequest, passages: Sequence[Passage]) -> ArmReply:
        self.asked += 1
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, RaglineError):
            raise step
        return step


async def ask(gateway: Scripted) -> tuple[ArmReply, int, list[float]]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    reply, attempts = await Asker(gateway, sleep).ask("q", ARM, CONTEXT)
    return reply, attempts, pauses


async def test_a_busy_engine_is_asked_again_and_counted() -> None:
    busy = RateLimited("full", service="generation", retry_after=7)
    found = await ask(Scripted(busy, failed("service_unavailable"), failed("rate_limited"), ANSWERED))
    assert found == (ANSWERED, 4, [7, 2, 4])


async def test_patience_ends_and_the_failure_is_the_result() -> None:
    reply, attempts, pauses = await ask(Scripted(failed("service_unavailable")))
    assert (reply.status, attempts, len(pauses)) == ("failed", 9, 8)
    assert sum(pauses) == 120
    reply, _, _ = await ask(Scripted(ServiceUnavailable("down", service="generation")))
    assert reply.error is not None
    assert (reply.error.code, reply.context_id) == ("service_unavailable", CONTEXT.context_id)


async def test_what_another_request_would_not_mend_is_asked_once() -> None:
    for step in (failed("context_length_exceeded"), RaglineError("a bug")):
        reply, attempts, pauses = await ask(Scripted(step))
        assert (reply.status, attempts, pauses) == ("failed", 1, [])


@pytest.mark.parametrize(
    ("error", "times"), [(ServiceUnavailable("gone", service="gateway"), 9), (Unauthorized("no key"), 1)]
)
async def test_without_the_gateway_the_run_stops(error: RaglineError, times: int) -> None:
    gateway = Scripted(error)
    with pytest.raises(type(error)):
        await ask(gateway)
    assert gateway.asked == times


async def test_an_answer_by_another_entry_does_not_count() -> None:
    reply, _, _ = await ask(
        Scripted(ANSWERED.model_copy(update={"degraded": ["generation:m"], "model": "n"}))
    )
    assert reply.error is not None
    assert (reply.status, reply.content, reply.error.code) == ("failed", "", "answered_by_fallback")


def test_arms_answer_a_question_one_after_the_other_in_an_order_that_changes() -> None:
    questions, arms = [f"q{number}" for number in range(60)], ["a", "b", "c"]
    units = schedule(questions, arms, 2, seed=4)
    assert units == schedule(questions, arms, 2, seed=4) != schedule(questions, arms, 2, seed=5)
    assert [unit.order for unit in units] == list(range(360))
    assert len({unit.key for unit in units}) == 360
    blocks = [units[start : start + 3] for start in range(0, 360, 3)]
    assert all(len({(unit.question, unit.repeat) for unit in block}) == 1 for block in blocks)
    assert set(Counter(block[0].arm for block in blocks)) == set(arms)
    assert [unit.repeat for unit in units] == [0] * 180 + [1] * 180
    assert [block[0].question for block in blocks[:60]] != questions


def test_a_question_without_an_answer_is_asked_like_the_others() -> None:
    passage = Source(id="p", text="Nothing.")
    whole = Dataset(
        name="set",
        items=(
            Item(id="1", question="Who?", kind="exact", answers=("Ann",), passages=(passage,)),
            Item(id="2", question="Whom?", kind="abstain", answerable=False, passages=(passage,)),
        ),
    )
    first, second = (word_question(whole, item, "given") for item in whole.items)
    assert first.text.removeprefix("Who?") == second.text.removeprefix("Whom?")
    assert 'begins with "Answer:"' in first.text
    assert "I don't know" in first.text
    assert "I don't know" not in word_question(whole, whole.items[0], "none").text
    assert (first.id, first.type, second.type) == ("set/1", "exact", "abstain")
    free = Item(id="3", question="Why?", kind="free")
    assert word_question(whole, free, "given").text.startswith("Why?")
    assert "Answer:" not in word_question(whole, free, "given").text
    options = load_dataset("logic", n=1).items[0]
    assert word_question(load_dataset("logic"), options, "none").text.startswith(options.prompt)


def test_where_passages_are_from() -> None:
    passage, corpus = Source(id="p", text="A."), (Source(id="c", text="B."),)
    alone, has = (
        Item(id=i, question="?", kind="free", passages=p) for i, p in (("1", ()), ("2", (passage,)))
    )
    plain, searched = (Dataset(name="s", items=(alone, has), corpus=each) for each in ((), corpus))

    def found(dataset: Dataset, item: Item, retrieve: bool | None, own: bool = False) -> PassageOrigin:
        return choose_origin(
            ChosenDataset(dataset, dataset, own), item, Options(retrieve=retrieve, collection="mine")
        )

    assert (
        found(plain, has, None)
        == found(searched, has, None)
        == found(plain, has, False)
        == PassageOrigin("given")
    )
    assert found(plain, alone, None) == found(searched, alone, False) == PassageOrigin("none")
    assert found(searched, alone, None) == PassageOrigin("retrieved", name_corpus_collection(searched))
    assert found(searched, has, True) == PassageOrigin("retrieved", name_corpus_collection(searched))
    assert found(searched, alone, None, own=True) == PassageOrigin("retrieved", "mine")
    assert found(plain, alone, True) == PassageOrigin("retrieved", "mine")
    assert name_corpus_collection(searched) != name_corpus_collection(
        searched.model_copy(update={"corpus": (passage,)})
    )
    assert name_corpus_files([Source(id="H_1", text="x", title="a/b: c"), passage]) == [
        "a b c 1.txt",
        "passage 2.txt",
    ]


def test_arms_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "arms.json"
    file.write_text(json.dumps([{"model": "small", "temperature": 0.5}, {"name": "b", "prompt": "cite"}]))
    first, second = plan.parse_arms(str(file))
    assert (first.name, first.prompt, first.temperature) == ("small", "plain", 0.5)
    assert (second.name, second.model, second.prompt) == ("b", "", "cite")
    short = plan.parse_arms("small, mine=large+cite@64")
    assert [(arm.name, arm.model, arm.prompt, arm.max_reasoning_tokens) for arm in short] == [
        ("small", "small", "plain", None),
        ("mine", "large", "cite", 64),
    ]


def test_numbers_of_questions_by_data_set() -> None:
    first, second = plan.choose_datasets(["logic", "champ"], "2, champ=3", None, seed=1)
    assert (len(first.sample.items), len(second.sample.items)) == (2, 3)


class Empty(Gateway):
    """Has a model entry and no documents; whoever asks it anything else fails."""

    def __init__(self) -> None:
        self.name = "gateway"

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(id="m", ready=True, default=True),)

    async def documents(self, collection: str) -> dict[str, str]:
        return {}


async def test_an_empty_collection_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    items = (Item(id="1", question="Who?", kind="free"),)
    own = Dataset(name="mine", items=items)
    wanted = Evaluation(
        [ChosenDataset(own, own, own=True)], [ARM], Options(collection="thesis"), tmp_path / "out"
    )
    with pytest.raises(InvalidRequest, match="the collection 'thesis' holds no documents to answer from"):
        await run(wanted, Empty(), SilentWatcher())
    assert list((tmp_path / "out").iterdir()) == []
