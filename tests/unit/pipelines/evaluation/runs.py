"""Bundles made of a table: questions, and each arm's replies to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.context import freeze
from pipelines.evaluation.bundle.records import Answer, Bundle, Context, Grounds, RunQuestion
from pipelines.evaluation.datasets import Item
from pipelines.evaluation.metric import AnswerInContext
from services.core.errors import ErrorDetail
from services.core.wire.answer import Timings
from services.core.wire.chat import CompletionTokensDetails, Usage
from services.core.wire.compare import ArmReply, ArmRequest
from services.core.wire.grounding import AnswerGroundedness
from services.core.wire.passages import Passage
from tests.unit.pipelines.evaluation.bundles import manifest


@dataclass(frozen=True)
class Said:
    """One reply. Times in ms; `error` makes it a failure, `reasoning` alone a truncated one."""

    content: str = ""
    e2el: float = 1000.0
    ttft: float | None = 100.0
    ttfo: float | None = 200.0
    think: float | None = None
    tokens: int = 10
    thought: int | None = 0
    reasoning: str = ""
    prompt: str = "plain"
    error: str = ""
    elapsed: float | None = None
    finish: str | None = "stop"
    degraded: Sequence[str] = ()
    groundedness: AnswerGroundedness | None = None
    unjudged: str | None = None
    timings: Mapping[str, float] = field(default_factory=dict)

    def reply(self, arm: str, context_id: str) -> ArmReply:
        common = ArmReply(arm=arm, model=arm, prompt=self.prompt, status="failed", context_id=context_id)
        if self.error:
            detail = ErrorDetail(type="server_error", code=self.error, message="no")
            return common.model_copy(update={"error": detail})
        truncated = self.finish == "reasoning_truncated"
        details = CompletionTokensDetails(reasoning_tokens=self.thought)
        return common.model_copy(
            update={
                "status": "reasoning_truncated" if truncated else "answered",
                "content": self.content,
                "reasoning_content": self.reasoning or None,
                "finish_reason": self.finish,
                "degraded": list(self.degraded),
                "groundedness": self.groundedness,
                "groundedness_missing": self.unjudged,
                "usage": Usage(
                    prompt_tokens=9,
                    completion_tokens=self.tokens,
                    total_tokens=9 + self.tokens,
                    completion_tokens_details=details,
                ),
                "timings": Timings(
                    e2el=self.e2el, ttft=self.ttft, ttfo=self.ttfo, think=self.think, **self.timings
                ),
            }
        )


RIGHT, WRONG = Said("It is 7."), Said("It is 3.")


def question(name: str, *, dataset: str = "mine", type_: str = "", **fields: object) -> RunQuestion:
    """One whose answer is 7, where `fields` do not say otherwise."""
    item = Item(**{"id": name, "question": f"{name}?", "kind": "numeric", "answers": ("7",), **fields})
    return RunQuestion(
        id=f"{dataset}/{name}", dataset=dataset, type=type_ or item.kind, text=item.prompt, item=item
    )


def context(
    asked: RunQuestion, *texts: str, grounds: Grounds = "given", found: Sequence[str] = (), **timings: float
) -> Context:
    passages = [
        Passage(id=f"p{number}", document_id="d", text=text, end=len(text))
        for number, text in enumerate(texts, start=1)
    ]
    return Context(
        question=asked.id,
        grounds=grounds,
        context=freeze(passages),
        timings=Timings(**timings) if timings else None,
        relevant_found=tuple(found),
    )


def run(
    questions: Sequence[RunQuestion],
    replies: Mapping[str, Sequence[Said | Sequence[Said]]],
    contexts: Sequence[Context] | None = None,
    **conditions: object,
) -> Bundle:
    """Of each arm one reply for every question, or one for each repeat of it. The first arm is the baseline."""
    contexts = contexts or [context(asked, "The number is 7.") for asked in questions]
    answers = [
        Answer(
            question=asked.id,
            arm=arm,
            repeat=repeat,
            order=0,
            at=0.0,
            elapsed=each.elapsed,
            reply=each.reply(arm, frozen.context.context_id),
        )
        for arm, column in replies.items()
        for asked, frozen, said in zip(questions, contexts, column, strict=True)
        for repeat, each in enumerate([said] if isinstance(said, Said) else said)
    ]
    repeats = 1 + max(answer.repeat for answer in answers)
    made = manifest()
    return Bundle(
        manifest=made.model_copy(
            update={
                "arms": tuple(ArmRequest(name=arm, model=arm) for arm in replies),
                "conditions": made.conditions.model_copy(update={"repeats": repeats, **conditions}),
            }
        ),
        questions=tuple(questions),
        contexts=tuple(contexts),
        answers=tuple(answers),
    )


def answer_in_context(said: Said, *texts: str, **fields: object) -> AnswerInContext:
    """One reply to a question with these `fields`, from passages with these texts: what a metric looks at."""
    asked = question("q", **fields)
    found = context(asked, *texts)
    return AnswerInContext(asked.item, found, said.reply("small", found.context.context_id))
