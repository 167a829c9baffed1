"""An answer on the reader's screen: its text as it is streamed, its sources, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.cli.console import Output
from services.core.completion import fallback_marks, move_misplaced, skipped_entries
from services.core.wire.answer import SEARCH_STAGES, AnswerChunk, FileCitation, FrozenContext, Timings
from services.core.wire.chat import FinishReason, Usage
from services.core.wire.passages import Passage

BAR_WIDTH = 40
QUOTE_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question, whole. `content` is empty where there is no answer."""

    model: str
    content: str
    abstained: bool
    degraded: tuple[str, ...]
    passages: tuple[Passage, ...]
    citations: tuple[FileCitation, ...]
    timings: Timings | None


class AnswerPrinter:
    """Prints what is streamed, and keeps it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._channel = ""
        self._content: list[str] = []
        self._context: FrozenContext | None = None
        self._citations: list[FileCitation] = []
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self._last = AnswerChunk(id="", created=0, model="")

    def take(self, chunk: AnswerChunk) -> None:
        self._context = chunk.context or self._context
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices:
            if choice.delta.reasoning_content:
                self._write("reasoning", choice.delta.reasoning_content)
            if choice.delta.content:
                self._content.append(choice.delta.content)
                self._write("answer", choice.delta.content)
            if choice.delta.citations:
                self._citations = choice.delta.citations
            self._finish = choice.finish_reason or self._finish
        if chunk.timings is not None:
            self._last = chunk

    @property
    def is_complete(self) -> bool:
        """Whether the answer's end has come, and with it why it ends and how long it took."""
        return self._finish is not None and self._last.timings is not None

    def whole(self) -> Answer:
        return Answer(
            model=self._last.model,
            content=self._answer,
            abstained=self._last.outcome == "abstained",
            degraded=tuple(self._last.degraded or ()),
            passages=tuple(self._context.passages if self._context else ()),
            citations=tuple(self._citations),
            timings=self._last.timings,
        )

    @property
    def _answer(self) -> str:
        """What of the streamed text is the answer."""
        return move_misplaced("".join(self._content), "", self._last.misplaced or 0)[0]

    def end_line(self) -> None:
        """Close the line that is being written."""
        if self._channel:
            self._output.line()

    def print_evidence(self) -> None:
        """Print what follows the text: notes, sources, latency."""
        answer = self._answer
        if self._last.misplaced:
            self._output.line(
                "\nThe text above begins with the model's thinking, which its server has not marked as such "
                f"(set LLM_PROFILE=prefilled). {'The answer is:' if answer.strip() else ''}",
                style="yellow",
            )
            self._output.line(answer)
        finish = self._last.answer_finish_reason or self._finish
        for line in format_notes(self._last, finish, is_empty=not answer.strip()):
            self._output.line(line, style="yellow")
        for line in format_relevance(self._context):
            self._output.line(line, style="yellow")
        if self._context is not None and self._context.passages:
            self._output.line("\nSources", style="bold")
            for line in format_sources(self._context.passages, self._citations):
                self._output.line(line)
        if self._last.timings is not None:
            self._output.line("\nLatency", style="bold")
            for line in draw_waterfall(self._last.timings):
                self._output.line(line)
        if self._usage is not None:
            self._output.line(format_usage(self._usage))

    def _write(self, channel: str, text: str) -> None:
        if channel != self._channel:
            if self._channel:
                self._output.line("\n")
            if channel == "reasoning":
                self._output.line("Reasoning", style="dim bold")
            elif self._channel == "reasoning":
                self._output.line("Answer", style="bold")
            self._channel = channel
        self._output.piece(text, style="dim" if channel == "reasoning" else "")


def format_notes(
    chunk: AnswerChunk, finish_reason: FinishReason | None = None, *, is_empty: bool = False
) -> list[str]:
    """Say what the reader must know about an answer besides its text: the outcome, and what is missing.

    Args:
        chunk: The last chunk, with the outcome and what was done without.
        finish_reason: Why the answer ends.
        is_empty: Whether no text came that is an answer.
    """
    lines = []
    if chunk.outcome == "abstained":
        lines.append("Nothing relevant enough was found, so this is not an answer.")
    if chunk.outcome == "answered_without_passages":
        lines.append("No passage was used: the model answered from the conversation, or from what it knows.")
    names = skipped_entries(chunk.degraded or ())
    stages = [stage for stage in chunk.degraded or () if stage not in fallback_marks(names)]
    if stages:
        lines.append(f"Degraded: answered without {', '.join(stages)}.")
    if names:
        lines.append(f"Degraded: {chunk.model} answered, because {', '.join(names)} could not.")
    if chunk.outcome == "reasoning_truncated":
        lines.append("No answer: the thinking ran into its limit (reasoning_truncated).")
    elif finish_reason == "length":
        lines.append(f"{'No answer' if is_empty else 'The answer was cut'}: the token limit was reached.")
    elif finish_reason == "content_filter":
        lines.append(f"{'No answer' if is_empty else 'The answer was cut'}: the model's server withheld it.")
    elif finish_reason in {"tool_calls", "function_call"}:
        lines.append("No answer: the model calls a tool, and there is none here.")
    elif is_empty and chunk.outcome != "abstained":
        lines.append("No answer: the model wrote nothing.")
    return lines


_KEPT = {
    "floor": ("by their similarity to the question", "no passage is similar enough to the question"),
    "words": (
        "by the words they share with the question",
        "no passage shares enough words with it",
    ),
    "model": ("all that were found: the model had to judge them", "nothing was found"),
    "off": ("all that were found: no threshold was asked for", "nothing was found"),
}
"""By the rule of relevance: how passages were kept, and why there are none."""


def format_relevance(context: FrozenContext | None) -> list[str]:
    """Say why the passages were kept, or why there are none, where something was searched for."""
    relevance = context.relevance if context is not None else None
    if context is None or relevance is None:
        return []
    kept, none = _KEPT[relevance.rule]
    language = f" (question in {relevance.language})" if relevance.language else ""
    lines = [f"Passages kept {kept}{language}." if context.passages else f"Why: {none}{language}."]
    held = [word for word in relevance.identifiers if word not in relevance.missing]
    if held and context.passages:
        lines.append(f"Kept whatever their similarity, because they hold it: {', '.join(held)}.")
    if relevance.missing:
        lines.append(f"In no passage: {', '.join(relevance.missing)}.")
    if context.repeated:
        lines.append(f"Left out because one of these has the same text: {len(context.repeated)}.")
    return lines


def format_usage(usage: Usage) -> str:
    """One line of token counts, which says where they are estimates or unknown."""
    thought = usage.completion_tokens_details.reasoning_tokens
    thinking = ", thinking not counted" if thought is None else f", {thought:,} of it thinking"
    estimated = " (estimated: the engine counts nothing)" if usage.estimated else ""
    counts = f"{usage.prompt_tokens:,} in, {usage.completion_tokens:,} out"
    return f"  {'tokens':<12}{counts}{'' if thought == 0 else thinking}{estimated}"


def format_sources(passages: Sequence[Passage], citations: Sequence[FileCitation]) -> list[str]:
    """Numbered as the prompt numbers them: title, section, page, span, score; then the cited words."""
    lines = []
    for number, passage in enumerate(passages, 1):
        page = f"page {passage.page}" if passage.page is not None else ""
        score = f"score {passage.score:.3f}" if passage.score is not None else ""
        place = " > ".join(part for part in (passage.title or passage.document_id, passage.section) if part)
        cited = [citation for citation in citations if citation.marker == number]
        parts = [
            place,
            page,
            f"characters {passage.start}-{passage.end}",
            score,
            "" if cited else "not cited",
        ]
        lines.append(f"[{number}] " + ", ".join(part for part in parts if part))
        quotes = dict.fromkeys((cite.start, cite.end, " ".join(cite.quote.split())) for cite in cited)
        for start, end, quote in quotes:
            short = quote if len(quote) <= QUOTE_LENGTH else quote[: QUOTE_LENGTH - 3] + "..."
            lines.append(f'      {start}-{end}: "{short}"')
    return lines


def draw_waterfall(timings: Timings) -> list[str]:
    """One bar per stage, each beginning where the one before it ended; milliseconds from request in."""
    search = {stage: getattr(timings, stage) for stage in SEARCH_STAGES}
    found = sum(took or 0 for took in search.values())
    first = max(0.0, timings.ttft - found) if timings.ttft is not None else None
    begun = timings.ttfo if timings.ttfo is not None else timings.ttft
    stages = [
        *search.items(),
        ("first token", first),
        ("thinking", timings.think),
        ("answer", max(0.0, timings.e2el - begun) if begun is not None else None),
    ]
    scale = BAR_WIDTH / timings.e2el if timings.e2el > 0 else 0.0
    lines, at = [], 0.0
    for name, took in stages:
        if took is None:
            continue
        begin = min(BAR_WIDTH - 1, int(at * scale))
        length = max(1, min(BAR_WIDTH - begin, round(took * scale)))
        lines.append(f"  {name:<12}{took:>9,.1f} ms  |{(' ' * begin + '=' * length).ljust(BAR_WIDTH)}|")
        at += took
    ttft = f", first token after {timings.ttft:,.0f} ms" if timings.ttft is not None else ""
    tpot = f", {timings.tpot:,.1f} ms per token after it" if timings.tpot is not None else ""
    if timings.held_back is not None:
        lines.append(
            f"  {'held back':<12}{timings.held_back:>9,.1f} ms  of these: no profile knows whether the model "
            "thinks (LLM_PROFILE)"
        )
    lines.append(f"  {'total':<12}{timings.e2el:>9,.1f} ms{ttft}{tpot}")
    return lines
