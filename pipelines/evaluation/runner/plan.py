"""What an evaluation is to do, as given by the user, and the questions and arms that it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipelines.arms import parse_arm, prompt_named
from pipelines.evaluation.datasets import Dataset, load
from pipelines.evaluation.datasets.items import sample
from services.core.errors import InvalidRequest, NotFound
from services.core.wire.compare import ArmRequest
from services.core.wire.passages import DEFAULT_COLLECTION

_ARMS = TypeAdapter(list[ArmRequest])


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
    whole = load(name, data, seed=seed)
    return Chosen(whole, sample(whole, n, seed), own=name.endswith(".jsonl"))


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
