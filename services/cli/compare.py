"""`ragline compare`: one question, one frozen context, several arms, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from pydantic import TypeAdapter

from services.cli.ask import patiently, sources
from services.cli.console import Output
from services.core.client import HttpClient
from services.core.clients.decode import decode
from services.core.context import set_deadline
from services.core.errors import ServiceError, from_detail
from services.core.wire.compare import ArmGroundedness, ArmReply, CompareReply
from services.core.wire.grounding import GroundedSentence, GroundedText

COMPARE_SECONDS = 1800.0
_REPLY = TypeAdapter(CompareReply)


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask, and of which arms; `arms` in the short form, `MODEL[+PROMPT][@TOKENS]`."""

    text: str
    arms: Sequence[str]
    collection: str
    serial: bool = True
    grounding: bool = True

    def payload(self) -> bytes:
        return orjson.dumps(
            {
                "question": self.text,
                "arms": list(self.arms),
                "rag": {"collection": self.collection},
                "serial": self.serial,
                "grounding": "all" if self.grounding else "off",
                "stream": True,
            }
        )


async def compare(question: Question, client: HttpClient, output: Output, *, as_json: bool = False) -> int:
    """Print every arm as it is done, then all of them in one table; how many failed.

    Waits for a model that is being fetched.
    """
    set_deadline(COMPARE_SECONDS)
    reply = await patiently(lambda: _streamed(question, client, output, quiet=as_json), output)
    if as_json:
        output.line(orjson.dumps(reply.model_dump(), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(reply, output)
    return sum(arm.status == "failed" for arm in reply.arms)


async def _streamed(question: Question, client: HttpClient, output: Output, *, quiet: bool) -> CompareReply:
    reply: CompareReply | None = None
    with output.spinner(f"asking {', '.join(question.arms)}") as spinner:
        done: list[str] = []
        async for event in client.stream("/v1/compare", question.payload()):
            if event.event == "arm":
                arm = ArmReply.model_validate_json(event.data)
                done.append(arm.arm)
                spinner.say(f"{len(done)} of {len(question.arms)} arms are done: {', '.join(done)}")
                if not quiet:
                    _arm(arm, output)
            elif event.event == "groundedness" and not quiet:
                _grounded(ArmGroundedness.model_validate_json(event.data), output)
            elif event.event == "comparison":
                reply = decode(_REPLY, event.data, client.service)
    if reply is None:
        raise ServiceError("the comparison broke off before its end", service=client.service)
    return reply


def _arm(arm: ArmReply, output: Output) -> None:
    output.line(f"== {arm.arm}", style="bold")
    if arm.error is not None:
        output.line(f"failed: {from_detail(arm.error, service='gateway').message}", style="red")
    elif arm.status == "reasoning_truncated":
        output.line("No answer: the thinking ran into its limit.", style="yellow")
    if arm.content:
        output.line(arm.content.strip())
    output.line()


def _grounded(found: ArmGroundedness, output: Output) -> None:
    """How many sentences of an arm the passages support, and each one that they do not."""
    if found.groundedness is None:
        output.line(f"{found.arm}: groundedness is missing: {found.missing}", style="yellow")
    else:
        answer, reasoning = found.groundedness.answer, found.groundedness.reasoning
        output.line(f"{found.arm}: {_counted(answer)}", style="bold")
        for sentence in answer.sentences:
            if sentence.verdict in {"unsupported", "contradicted"}:
                output.line(_doubted(sentence), style="red" if sentence.against else "yellow")
        if reasoning is not None:
            output.line(f"{found.arm}, thinking: {_counted(reasoning)}")
        trace = found.groundedness.trace
        if trace is not None and trace.verdict == "contradicts":
            output.line(f"  the answer contradicts the thinking, which ends: {trace.trace}", style="red")
    output.line()


def _counted(text: GroundedText) -> str:
    if not text.claims:
        return "claims nothing that passages could support"
    return (
        f"{text.supported} of {text.claims} sentences supported, {text.unsupported} unsupported, "
        f"{text.contradicted} contradicted"
    )


def _doubted(sentence: GroundedSentence) -> str:
    against = f"; a passage says: {sentence.against.text}" if sentence.against else ""
    return f"  {sentence.verdict} (p {sentence.p_supported:.2f}): {sentence.text}{against}"


def _show(reply: CompareReply, output: Output) -> None:
    """The passages that all arms had, then a column of figures for each."""
    if reply.context.passages:
        output.line("Sources of every arm", style="bold")
        for line in sources(reply.context.passages, [cite for arm in reply.arms for cite in arm.annotations]):
            output.line(line)
        output.line()
    output.table(
        [["arm", "status", "TTFT ms", "TTFO ms", "think ms", "E2EL ms", "tokens", "cited", "supported"]]
        + [
            [
                arm.arm,
                arm.status,
                *(_ms(getattr(arm.timings, name, None)) for name in ("ttft", "ttfo", "think", "e2el")),
                _tokens(arm),
                str(len(arm.annotations)),
                _share(arm),
            ]
            for arm in reply.arms
        ]
    )
    how = "one after another" if reply.serial else "all at once"
    cold = "none found the passages in a cache that another had filled" if reply.cold else "with warm caches"
    output.line(f"The arms ran {how}; {cold}. One question shows what happened, not what is better.")


def _share(arm: ArmReply) -> str:
    if arm.groundedness is None or not arm.groundedness.answer.claims:
        return "-"
    return f"{arm.groundedness.answer.supported}/{arm.groundedness.answer.claims}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _tokens(arm: ArmReply) -> str:
    if arm.usage is None:
        return "-"
    thought = arm.usage.completion_tokens_details.reasoning_tokens
    return f"{arm.usage.completion_tokens}" + (f" ({thought} thinking)" if thought else "")
