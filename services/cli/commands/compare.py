"""Ask several models the same question, from the same passages.

The passages are searched for once, so that the answers differ by model, prompt and thinking alone:

    ragline compare "How dense is ice?" --arms small,large,large@256

The exit code is 1 where an arm failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import orjson
import typer
from pydantic import TypeAdapter

from services.cli.answers import format_sources
from services.cli.console import Output
from services.cli.gateway import call_gateway, wait_for_model
from services.core.client import HttpClient
from services.core.context import set_deadline
from services.core.errors import ServiceError, from_detail
from services.core.wire.compare import ArmGroundedness, ArmReply, CompareReply
from services.core.wire.encoding import decode
from services.core.wire.grounding import GroundedSentence, GroundedText
from services.core.wire.passages import DEFAULT_COLLECTION

PANEL = "Ask"
COMPARE_SECONDS = 1800.0
_REPLY = TypeAdapter(CompareReply)


def command(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    *,
    arms: Annotated[str, typer.Option(help="MODEL[+PROMPT][@THINKING TOKENS], separated by commas.")],
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    together: Annotated[
        bool, typer.Option("--together", help="All arms at once, not one after another.")
    ] = False,
    grounding: Annotated[
        bool, typer.Option(help="Judge each sentence of the answers against the passages.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the whole comparison as JSON.")] = False,
) -> None:
    names = [arm.strip() for arm in arms.split(",") if arm.strip()]
    asked = Question(question, names, collection, serial=not together, grounding=grounding)
    output = Output.standard()
    failed = call_gateway(lambda client: compare(asked, client, output, as_json=json))
    raise typer.Exit(1 if failed else 0)


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
    """Print every arm as it is done, then all of them in one table. Returns how many failed.

    Waits for a model that is being fetched.
    """
    set_deadline(COMPARE_SECONDS)
    reply = await wait_for_model(
        lambda: _stream_comparison(question, client, output, quiet=as_json), output, COMPARE_SECONDS
    )
    if as_json:
        output.line(orjson.dumps(reply.model_dump(), option=orjson.OPT_INDENT_2).decode())
    else:
        _print_comparison(reply, output)
    return sum(arm.status == "failed" for arm in reply.arms)


async def _stream_comparison(
    question: Question, client: HttpClient, output: Output, *, quiet: bool
) -> CompareReply:
    reply: CompareReply | None = None
    with output.spinner(f"asking {', '.join(question.arms)}") as spinner:
        done: list[str] = []
        async for event in client.stream("/v1/compare", question.payload()):
            if event.event == "arm":
                arm = ArmReply.model_validate_json(event.data)
                done.append(arm.arm)
                spinner.say(f"{len(done)} of {len(question.arms)} arms are done: {', '.join(done)}")
                if not quiet:
                    _print_arm(arm, output)
            elif event.event == "groundedness" and not quiet:
                _print_groundedness(ArmGroundedness.model_validate_json(event.data), output)
            elif event.event == "comparison":
                reply = decode(_REPLY, event.data, client.service)
    if reply is None:
        raise ServiceError("the comparison broke off before its end", service=client.service)
    return reply


def _print_arm(arm: ArmReply, output: Output) -> None:
    output.line(f"== {arm.arm}", style="bold")
    if arm.error is not None:
        output.line(f"failed: {from_detail(arm.error, service='gateway').message}", style="red")
    elif arm.status == "reasoning_truncated":
        output.line("No answer: the thinking ran into its limit.", style="yellow")
    if arm.content:
        output.line(arm.content.strip())
    output.line()


def _print_groundedness(judged: ArmGroundedness, output: Output) -> None:
    """How many sentences of an arm the passages support, and each one that they do not."""
    if judged.groundedness is None:
        output.line(f"{judged.arm}: groundedness is missing: {judged.missing}", style="yellow")
    else:
        answer, reasoning = judged.groundedness.answer, judged.groundedness.reasoning
        output.line(f"{judged.arm}: {_count_sentences(answer)}", style="bold")
        for sentence in answer.sentences:
            if sentence.verdict in {"unsupported", "contradicted"}:
                output.line(_doubt_line(sentence), style="red" if sentence.against else "yellow")
        if reasoning is not None:
            output.line(f"{judged.arm}, thinking: {_count_sentences(reasoning)}")
        trace = judged.groundedness.trace
        if trace is not None and trace.verdict == "contradicts":
            output.line(f"  the answer contradicts the thinking, which ends: {trace.trace}", style="red")
    output.line()


def _count_sentences(text: GroundedText) -> str:
    apart = f"{text.not_judged} not judged, for their language" if text.not_judged else ""
    if not text.claims:
        return apart or "claims nothing that passages could support"
    counted = (
        f"{text.supported} of {text.claims} sentences supported, {text.unsupported} unsupported, "
        f"{text.contradicted} contradicted"
    )
    return f"{counted}; {apart}" if apart else counted


def _doubt_line(sentence: GroundedSentence) -> str:
    against = f"; a passage says: {sentence.against.text}" if sentence.against else ""
    return f"  {sentence.verdict} (p {sentence.p_supported:.2f}): {sentence.text}{against}"


def _print_comparison(reply: CompareReply, output: Output) -> None:
    """The passages that all arms had, then a column of figures for each."""
    if reply.context.passages:
        output.line("Sources of every arm", style="bold")
        for line in format_sources(
            reply.context.passages, [cite for arm in reply.arms for cite in arm.citations]
        ):
            output.line(line)
        output.line()
    output.table(
        [["arm", "status", "TTFT ms", "TTFO ms", "think ms", "E2EL ms", "tokens", "cited", "supported"]]
        + [
            [
                arm.arm,
                arm.status,
                *(
                    _milliseconds(getattr(arm.timings, name, None))
                    for name in ("ttft", "ttfo", "think", "e2el")
                ),
                _token_count(arm),
                str(len(arm.citations)),
                _supported_share(arm),
            ]
            for arm in reply.arms
        ]
    )
    how = "one after another" if reply.serial else "all at once"
    cold = "none found the passages in a cache that another had filled" if reply.cold else "with warm caches"
    output.line(f"The arms ran {how}; {cold}. One question shows what happened, not what is better.")


def _supported_share(arm: ArmReply) -> str:
    if arm.groundedness is None or not arm.groundedness.answer.claims:
        return "-"
    return f"{arm.groundedness.answer.supported}/{arm.groundedness.answer.claims}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _token_count(arm: ArmReply) -> str:
    if arm.usage is None:
        return "-"
    thought = arm.usage.completion_tokens_details.reasoning_tokens
    return f"{arm.usage.completion_tokens}" + (f" ({thought} thinking)" if thought else "")
