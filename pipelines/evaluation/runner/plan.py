"""What a run asks: the data sets and the arms as the user names them, a question's words, and the order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipelines.compare import parse_arm
from pipelines.evaluation.bundle.records import Grounds, RunQuestion
from pipelines.evaluation.datasets import load_dataset
from pipelines.evaluation.datasets.items import Dataset, Item, Kind, draw_sample
from pipelines.evaluation.reading.wording import FORMS, HOW_TO_DECLINE
from pipelines.prompting import find_prompt
from services.core.errors import InvalidRequest, NotFound
from services.core.wire.compare import ArmRequest
from services.core.wire.passages import DEFAULT_COLLECTION

_ARMS = TypeAdapter(list[ArmRequest])
_TYPE_KEYS = ("type", "family", "category", "task", "role")
"""What the data sets call their kinds of questions, in `meta`."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run asks its questions.

    `retrieve` None: questions that come with passages are answered from those, others from a collection
    where their data set has a corpus or is the user's own, else closed book; True: all from a collection;
    False: closed book where there are no passages with the question. `collection` is searched for questions
    whose data set has no corpus. With `concurrency` 1 there are never two requests at once.
    """

    seed: int = 0
    repeats: int = 1
    concurrency: int = 1
    retrieve: bool | None = None
    collection: str = DEFAULT_COLLECTION
    floor: float = 0.0
    top_n: int | None = None
    warm_up: int = 1

    def __post_init__(self) -> None:
        for name, least in (("repeats", 1), ("concurrency", 1), ("warm_up", 0)):
            if getattr(self, name) < least:
                option = name.replace("_", "-")
                raise InvalidRequest(f"--{option} {getattr(self, name)}: it must be at least {least}")


@dataclass(frozen=True, slots=True)
class ChosenDataset:
    """A data set as a run uses it: the `whole` set, the `sample` that is asked; `own`: the user's file."""

    whole: Dataset
    sample: Dataset
    own: bool = False


def choose_datasets(names: Sequence[str], n: str, data: Path | None, seed: int) -> tuple[ChosenDataset, ...]:
    """Load data sets and draw their questions.

    Args:
        names: Registered names, or the user's own .jsonl files.
        n: How many questions of each: a number, or `NAME=NUMBER,...`; empty: all.
        data: The folder of the data sets that do not come with Ragline.
        seed: Decides which questions are drawn.

    Raises:
        InvalidRequest, NotFound: A name, a number or a line of the user's file is wrong.
    """
    if not names:
        raise InvalidRequest("--dataset: name at least one")
    counts = _parse_counts(n, names)
    chosen = [_choose_dataset(name, data, counts.get(name), seed) for name in names]
    repeated = [
        name for name, count in Counter(dataset.whole.name for dataset in chosen).items() if count > 1
    ]
    if repeated:
        raise InvalidRequest(
            f"--dataset: {repeated[0]} comes twice: the questions of a run have names of their own"
        )
    return tuple(chosen)


def _choose_dataset(name: str, data: Path | None, n: int | None, seed: int) -> ChosenDataset:
    whole = load_dataset(name, data, seed=seed)
    return ChosenDataset(whole, draw_sample(whole, n, seed), own=name.endswith(".jsonl"))


def _parse_counts(text: str, names: Sequence[str]) -> dict[str, int]:
    """Read the number of questions by data set; a number alone holds for all of them."""
    counts: dict[str, int] = {}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        name, equals, number = part.rpartition("=")
        if not number.strip().isdecimal() or int(number) < 1:
            raise InvalidRequest(f"--n {part}: write a number of questions, or NAME=NUMBER for each data set")
        if equals and name not in names:
            raise InvalidRequest(f"--n {part}: no such data set here: --dataset has {', '.join(names)}")
        counts |= (
            {name: int(number)} if equals else {name: int(number) for name in names if name not in counts}
        )
    return counts


def parse_arms(text: str) -> tuple[ArmRequest, ...]:
    """Read the arms of a run, the first one the baseline.

    Args:
        text: `[NAME=]MODEL[+PROMPT][@TOKENS]` separated by commas, or the name of a .json file with a list of
            objects (name, model, prompt, temperature, max_tokens, ...).

    Raises:
        InvalidRequest: An arm cannot be read, or two have the same name.
        NotFound: The file cannot be read.
    """
    arms = (
        _read_arms(Path(text))
        if text.endswith(".json")
        else [_parse_short_arm(part) for part in text.split(",") if part.strip()]
    )
    if not arms:
        raise InvalidRequest("--arms: name at least one, as MODEL, MODEL+PROMPT or MODEL@TOKENS")
    repeated = [name for name, count in Counter(arm.name for arm in arms).items() if count > 1]
    if repeated:
        raise InvalidRequest(
            f"--arms: {repeated[0]} comes twice: give one another name, as NAME={repeated[0]}"
        )
    return tuple(arms)


def _parse_short_arm(text: str) -> ArmRequest:
    arm = parse_arm(text)
    return ArmRequest(
        name=arm.name,
        model=arm.model,
        prompt=arm.prompt,
        max_reasoning_tokens=arm.sampling.max_reasoning_tokens,
    )


def _read_arms(path: Path) -> list[ArmRequest]:
    try:
        arms = _ARMS.validate_json(path.read_bytes())
    except OSError as error:
        raise NotFound(f"--arms: {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"--arms: {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return [
        arm.model_copy(
            update={"name": arm.name or arm.model or "default", "prompt": find_prompt(arm.prompt or "plain")}
        )
        for arm in arms
    ]


def word_question(whole: Dataset, item: Item, grounds: Grounds) -> RunQuestion:
    """Put a question in the words in which all arms are asked it.

    A question without an answer is put in the form of its data set's others, so that the form does not give
    it away; where some of them have no answer and there are passages to look at, all say how to decline.
    """
    form = FORMS.get(_form_kind(whole, item), "")
    lines = [item.prompt, form]
    if form and grounds != "none" and not all(other.answerable for other in whole.items):
        lines.append(HOW_TO_DECLINE)
    return RunQuestion(
        id=f"{whole.name}/{item.id}",
        dataset=whole.name,
        type=next((item.meta[key] for key in _TYPE_KEYS if item.meta.get(key)), item.kind),
        text="\n".join(line for line in lines if line),
        item=item,
    )


def _form_kind(whole: Dataset, item: Item) -> Kind:
    """Find the kind whose form a question is asked in: its own, or the most frequent one of its data set."""
    if item.kind != "abstain":
        return item.kind
    kinds = Counter(other.kind for other in whole.items if other.kind != "abstain")
    return kinds.most_common(1)[0][0] if kinds else "exact"


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One question to one arm. `order` is its place in the run."""

    order: int
    question: str
    arm: str
    repeat: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.question, self.arm, self.repeat


def schedule(
    questions: Sequence[str], arms: Sequence[str], repeats: int, seed: int
) -> tuple[PlannedRequest, ...]:
    """Plan every question to every arm, `repeats` times. Pure.

    All questions are asked once, then again; in another order each time, so that no data set comes last. The
    arms answer a question one right after the other, in random order: what changes in the machine over the
    run meets them all alike.
    """
    generator = random.Random(f"schedule:{seed}")
    requests: list[PlannedRequest] = []
    for repeat in range(repeats):
        for question in generator.sample(questions, len(questions)):
            for arm in generator.sample(arms, len(arms)):
                requests.append(PlannedRequest(len(requests), question, arm, repeat))
    return tuple(requests)


def schedule_in_order(
    questions: Sequence[str], arms: Sequence[str], repeats: int, seed: int
) -> tuple[PlannedRequest, ...]:
    """Plan as `schedule`, with the questions in the order given and all repeats of one together. Pure."""
    generator = random.Random(f"arms:{seed}")
    requests: list[PlannedRequest] = []
    for question in questions:
        for repeat in range(repeats):
            for arm in generator.sample(arms, len(arms)):
                requests.append(PlannedRequest(len(requests), question, arm, repeat))
    return tuple(requests)


def order_clusters(questions: Sequence[RunQuestion], seed: int) -> list[RunQuestion]:
    """Put questions in random order, with those that hang together one after the other. Pure."""
    clusters: dict[str, list[RunQuestion]] = {}
    for question in questions:
        clusters.setdefault(question.cluster or question.id, []).append(question)
    generator = random.Random(f"clusters:{seed}")
    names = generator.sample(list(clusters), len(clusters))
    return [question for name in names for question in generator.sample(clusters[name], len(clusters[name]))]
