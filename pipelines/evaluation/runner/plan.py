"""What a run asks: the data sets and the arms as the user names them, a question's words, and the order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipelines.arms import parse_arm, prompt_named
from pipelines.evaluation.bundle.records import Grounds, RunQuestion
from pipelines.evaluation.datasets import load_dataset
from pipelines.evaluation.datasets.items import Dataset, Item, Kind, draw_sample
from services.core.errors import InvalidRequest, NotFound
from services.core.wire.compare import ArmRequest
from services.core.wire.passages import DEFAULT_COLLECTION

_ARMS = TypeAdapter(list[ArmRequest])
_LINE = 'End with a last line that begins with "Answer:" and holds'
_FORMS: dict[Kind, str] = {
    "numeric": f"{_LINE} the number alone.",
    "choice": f"{_LINE} the letter of the option alone.",
    "expression": f"{_LINE} the result alone: a number, a formula, or a few words.",
    "exact": f"{_LINE} the answer alone, in as few words as possible.",
}
_DECLINE = 'Where the passages do not say, that line is "Answer: I don\'t know".'
_TYPES = ("type", "family", "category", "task", "role")
"""What the data sets call their kinds of questions, in `meta`."""


@dataclass(frozen=True, slots=True)
class Options:
    """`retrieve` None: questions that come with passages are answered from those, others from a collection
    where their data set has a corpus or is one's own, else closed book; True: all from a collection; False:
    closed book where there are no passages with the question. `collection` is for what has no corpus.
    `concurrency` 1: never two requests at once."""

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
class Chosen:
    """A data set as it is used: `whole`, and the questions drawn from it. `own`: the user's file."""

    whole: Dataset
    drawn: Dataset
    own: bool = False


def chosen(names: Sequence[str], n: str, data: Path | None, seed: int) -> tuple[Chosen, ...]:
    """The data sets of these names, `n` questions of each: a number, or `NAME=NUMBER,...`; empty: all.

    InvalidRequest or NotFound says what is wrong with a name, a number or a line of one's own file.
    """
    if not names:
        raise InvalidRequest("--dataset: name at least one")
    wanted = _numbers(n, names)
    found = [_drawn(name, data, wanted.get(name), seed) for name in names]
    twice = [name for name, count in Counter(each.whole.name for each in found).items() if count > 1]
    if twice:
        raise InvalidRequest(
            f"--dataset: {twice[0]} comes twice: the questions of a run have names of their own"
        )
    return tuple(found)


def _drawn(name: str, data: Path | None, n: int | None, seed: int) -> Chosen:
    whole = load_dataset(name, data, seed=seed)
    return Chosen(whole, draw_sample(whole, n, seed), own=name.endswith(".jsonl"))


def _numbers(text: str, names: Sequence[str]) -> dict[str, int]:
    """Questions by data set; a number alone holds for all of them."""
    found: dict[str, int] = {}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        name, equals, number = part.rpartition("=")
        if not number.strip().isdecimal() or int(number) < 1:
            raise InvalidRequest(f"--n {part}: write a number of questions, or NAME=NUMBER for each data set")
        if equals and name not in names:
            raise InvalidRequest(f"--n {part}: no such data set here: --dataset has {', '.join(names)}")
        found |= {name: int(number)} if equals else {each: int(number) for each in names if each not in found}
    return found


def arms(text: str) -> tuple[ArmRequest, ...]:
    """The arms, the first one the baseline: `[NAME=]MODEL[+PROMPT][@TOKENS]` separated by commas, or a .json
    file with a list of objects (name, model, prompt, temperature, max_tokens, ...).

    InvalidRequest where one cannot be read, or two have the same name.
    """
    found = (
        _listed(Path(text))
        if text.endswith(".json")
        else [_short(part) for part in text.split(",") if part.strip()]
    )
    if not found:
        raise InvalidRequest("--arms: name at least one, as MODEL, MODEL+PROMPT or MODEL@TOKENS")
    twice = [name for name, count in Counter(arm.name for arm in found).items() if count > 1]
    if twice:
        raise InvalidRequest(f"--arms: {twice[0]} comes twice: give one another name, as NAME={twice[0]}")
    return tuple(found)


def _short(text: str) -> ArmRequest:
    arm = parse_arm(text)
    return ArmRequest(
        name=arm.name,
        model=arm.model,
        prompt=arm.prompt,
        max_reasoning_tokens=arm.sampling.max_reasoning_tokens,
    )


def _listed(path: Path) -> list[ArmRequest]:
    try:
        listed = _ARMS.validate_json(path.read_bytes())
    except OSError as error:
        raise NotFound(f"--arms: {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"--arms: {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return [
        arm.model_copy(
            update={"name": arm.name or arm.model or "default", "prompt": prompt_named(arm.prompt or "plain")}
        )
        for arm in listed
    ]


@dataclass(frozen=True, slots=True)
class Unit:
    """One request. `order` is its place in the run."""

    order: int
    question: str
    arm: str
    repeat: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.question, self.arm, self.repeat


def schedule(questions: Sequence[str], arms: Sequence[str], repeats: int, seed: int) -> tuple[Unit, ...]:
    """Every question to every arm, `repeats` times.

    All questions once, then again; in an order of their own each time, so that no data set comes last. The
    arms answer a question one right after the other, in random order: what changes in the machine over the
    run meets them all alike.
    """
    generator = random.Random(f"schedule:{seed}")
    units: list[Unit] = []
    for repeat in range(repeats):
        for question in generator.sample(questions, len(questions)):
            for arm in generator.sample(arms, len(arms)):
                units.append(Unit(len(units), question, arm, repeat))
    return tuple(units)


def asked(whole: Dataset, item: Item, grounds: Grounds) -> RunQuestion:
    """The question as all arms are asked it.

    A question without an answer is put in the form of its data set's others, so that the form does not give
    it away; where some of them have none and there are passages to look at, all are told how to decline.
    """
    form = _FORMS.get(_form(whole, item), "")
    lines = [item.prompt, form]
    if form and grounds != "none" and not all(each.answerable for each in whole.items):
        lines.append(_DECLINE)
    return RunQuestion(
        id=f"{whole.name}/{item.id}",
        dataset=whole.name,
        type=next((item.meta[name] for name in _TYPES if item.meta.get(name)), item.kind),
        text="\n".join(line for line in lines if line),
        item=item,
    )


def _form(whole: Dataset, item: Item) -> Kind:
    if item.kind != "abstain":
        return item.kind
    kinds = Counter(each.kind for each in whole.items if each.kind != "abstain")
    return kinds.most_common(1)[0][0] if kinds else "exact"
