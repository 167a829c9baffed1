"""The records of an evaluation's run: enough to score it again, and to run it again, elsewhere.

A bundle is a folder: `manifest.json` (`Manifest`), `questions.jsonl` (`RunQuestion`), `contexts.jsonl`
(`Context`), `answers.jsonl` (`Answer`, appended as they come), where there is a judge `verdicts.jsonl`
(`JudgeReply`, likewise) and, when all are there, `results.json` (`pipelines.evaluation.results`).
docs/evaluation/run.md says what each is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipelines.evaluation.bundle.prices import Price
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.gate.policy import Policy
from services.core.errors import ErrorDetail
from services.core.wire.answer import FrozenContext, Timings
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmReply, ArmRequest

FORMAT = 1
"""Goes up with every change that makes older bundles unreadable."""

Grounds = Literal["given", "retrieved", "none"]
"""Where the passages are from: with the question, out of a collection, or there are none (closed book)."""


class Record(BaseModel):
    """A frozen record; a field that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetRecord(Record):
    """`sha256` is over the chosen questions as they stand in `questions.jsonl`, in order.

    `grounds` is "mixed" where some questions come with passages and others do not.
    """

    name: str
    n: int
    of: int
    grounds: Grounds | Literal["mixed"]
    origin: str
    licence: str
    notice: str
    sha256: str
    collection: str = ""


class Machine(Record):
    """The machine that asked; the engines may run on others. `memory` in bytes."""

    system: str
    processor: str
    cores: int
    memory: int
    python: str


class Conditions(Record):
    """The conditions under which the questions were asked.

    `seed` drew the questions and the order in which they were asked; a request's own seed is `seed` plus its
    repeat. `top_k`, `top_n` and `floor` are those asked for, None: the gateway's.
    `serial`: never two requests at once; else up to `concurrency`. `cold`: every prompt begins with a line of
    its own, so that no arm finds a prefix in a cache that another one filled; `caches` says it in words.
    `warm_up` are the requests that each arm answered before the first one that counts.
    """

    seed: int
    repeats: int
    concurrency: int
    serial: bool
    cold: bool
    caches: str
    warm_up: int
    top_k: int | None = None
    top_n: int | None = None
    floor: float | None = None


class JudgeRecord(Record):
    """The entry that compared the answers of the baseline with those of each other arm.

    `instruction` opens its prompt; `max_tokens` None: the entry's own.
    """

    model: ModelInfo
    instruction: str
    temperature: float | None
    seed: int | None
    max_tokens: int | None = None


class SequentialRecord(Record):
    """How a run that stops by itself may go: at most `questions`, and `minutes` of asking (None: no limit).

    `largest` is the most questions that hang together. `ended`: why it stopped; empty while it goes on, or
    where it was interrupted. Its questions are recorded in the order of asking, which was drawn at random.
    """

    questions: int
    minutes: float | None = None
    largest: int
    ended: Literal["", "settled", "questions", "minutes", "hopeless"] = ""


class Manifest(Record):
    """`models` are the entries as the gateway lists them (engine, model id, profile); `arms` the columns,
    the first one the baseline; `prompts` the text of every prompt strategy that they use; `versions` the
    distributions that decide about a result. `started` is in UTC, ISO 8601. `policy` is what was asked of
    the arms before the first answer; None: nothing, and `USUAL` holds. `sequential`: the run stops when its
    policy is settled. `prices` are those of arms; `power` the meters of this machine that were read while
    requests ran one after another."""

    format: int = FORMAT
    version: str
    started: str
    datasets: tuple[DatasetRecord, ...]
    arms: tuple[ArmRequest, ...]
    conditions: Conditions
    models: tuple[ModelInfo, ...]
    prompts: dict[str, str]
    versions: dict[str, str]
    machine: Machine
    judge: JudgeRecord | None = None
    policy: Policy | None = None
    sequential: SequentialRecord | None = None
    prices: dict[str, Price] = {}
    power: tuple[str, ...] = ()

    @property
    def baseline(self) -> str:
        return self.arms[0].name


class RunQuestion(Record):
    """One question of the run. `id` is `DATASET/ITEM`: unique in the bundle.

    `type` is what a report groups by within a data set (its kind of question); `text` is what the models
    are given as the question, options and form of answer included.
    """

    id: str
    dataset: str
    type: str
    text: str
    item: Item

    @property
    def cluster(self) -> str:
        """The name of what it shares with other questions; "" where it stands alone."""
        return f"{self.dataset}/{self.item.group}" if self.item.group else ""


def group_clusters(questions: Iterable[RunQuestion]) -> list[list[RunQuestion]]:
    """Group questions that follow each other and hang together."""
    keyed = ((question.cluster or question.id, question) for question in questions)
    return [[question for _, question in group] for _, group in groupby(keyed, key=itemgetter(0))]


class Context(Record):
    """The frozen context of one question: all arms and repeats answer from it. `timings` are the search's.

    `relevant_found` are the ids in `item.relevant` that it holds, in its order, one per passage ("" where a
    passage is not relevant): for recall@k and the reciprocal rank.
    """

    question: str
    grounds: Grounds
    context: FrozenContext
    timings: Timings | None = None
    relevant_found: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()


class Answer(Record):
    """One arm's answer to one question, the `repeat`-th (from 0).

    `order` is its place in the run's order of asking, `at` the seconds since the run began (less the time
    in which it was stopped) when it was asked, for drift; `attempts` are more than one where an engine was
    busy or down and the request was sent again. `elapsed` is how many seconds a request took that failed.
    `energy` is what this machine took while it was under way, in joules, all of it.
    """

    question: str
    arm: str
    repeat: int
    order: int
    at: float
    attempts: int = 1
    elapsed: float | None = None
    energy: float | None = None
    reply: ArmReply

    @property
    def key(self) -> tuple[str, str, int]:
        return self.question, self.arm, self.repeat


class JudgeReply(Record):
    """The judge's reply to two answers to one question, the baseline's and the arm's of the same repeat, the
    one of `first` shown first. `reply` is without its thinking; with an `error` it said nothing."""

    question: str
    arm: str
    repeat: int
    first: Literal["baseline", "arm"]
    reply: str = ""
    error: ErrorDetail | None = None

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.question, self.arm, self.repeat, self.first


class Label(Record):
    """A person's mark of one answer: whether it is right ("correct"), or says no more than its passages
    ("supported"). `answer` is the SHA-256 of the text that was marked."""

    question: str
    arm: str
    repeat: int
    aspect: Literal["correct", "supported"]
    mark: Literal["yes", "no", "unsure"]
    answer: str
    at: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.question, self.arm, self.repeat


class Bundle(Record):
    """A whole run in memory; `contexts` one for each question, in their order; `answers` by question (as in
    `questions`), arm (as in the manifest), repeat; `verdicts` likewise, the baseline shown first first;
    `labels` in the order in which they were made."""

    manifest: Manifest
    questions: tuple[RunQuestion, ...]
    contexts: tuple[Context, ...]
    answers: tuple[Answer, ...]
    verdicts: tuple[JudgeReply, ...] = ()
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """The baseline's answer and another arm's to one question, of the same repeat: for a judge to compare."""

    question: str
    arm: str
    repeat: int
    baseline: str
    other: str

    @property
    def empty(self) -> bool:
        """Whether one of them says nothing, so that there is nothing to compare."""
        return not self.baseline or not self.other

    @property
    def alike(self) -> bool:
        """Whether they say the same word for word: a tie that no judge need be asked about."""
        return not self.empty and self.baseline.split() == self.other.split()

    @property
    def comparable(self) -> bool:
        """Whether a judge is asked about them."""
        return not self.empty and not self.alike


def pair_answers(bundle: Bundle) -> Iterator[AnswerPair]:
    """Pair the baseline's answers with each other arm's, in the bundle's order."""
    texts = {answer.key: _answer_text(answer) for answer in bundle.answers}
    baseline, *others = (arm.name for arm in bundle.manifest.arms)
    for question in bundle.questions:
        for arm in others:
            for repeat in range(bundle.manifest.conditions.repeats):
                yield AnswerPair(
                    question=question.id,
                    arm=arm,
                    repeat=repeat,
                    baseline=texts[question.id, baseline, repeat],
                    other=texts[question.id, arm, repeat],
                )


def _answer_text(answer: Answer) -> str:
    return "" if answer.reply.status == "failed" else answer.reply.content.strip()
