"""From a stream of tokens to a stream of text: whole characters, and nothing past a stop string. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

BROKEN = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """Turns a growing list of tokens into text, piece by piece; never half of a character.

    Only a window of tokens is decoded each time: from the last point where the text was whole. The
    tokens just before that point are decoded with it, because a tokenizer may drop the space in front
    of the first token it sees.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._start = 0
        self._read = 0

    def push(self, tokens: Sequence[int]) -> str:
        """Add tokens and return the text that they complete, possibly none yet."""
        self._tokens.extend(tokens)
        text = self._pending()
        if not text or text.endswith(BROKEN):
            return ""
        self._advance()
        return text

    def flush(self) -> str:
        """Return what is left at the end, broken characters included."""
        text = self._pending()
        self._advance()
        return text

    def _pending(self) -> str:
        known = self._decode(self._tokens[self._start : self._read]) if self._read > self._start else ""
        whole = self._decode(self._tokens[self._start :]) if len(self._tokens) > self._read else known
        return whole[len(known) :]

    def _advance(self) -> None:
        self._start, self._read = self._read, len(self._tokens)


class StopScanner:
    """Passes text on up to the first stop string, and holds back what may be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """Add text and return what is certainly before any stop string; `stopped` is set where one has
        come."""
        if self.stopped:
            return ""
        if not self._stops:
            return text
        text = self._held + text
        positions = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if positions:
            self.stopped, self._held = True, ""
            return text[: min(positions)]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Return what was held back, where the text ended without a stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Measure the longest end of `text` that is a beginning of `stop`, but not all of it."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-size:]):
            return size
    return 0


END_TOKENS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>", "<|return|>"),
    *("<|user|>", "<|observation|>", "<end_of_turn>", "<turn|>", "</s>", "<eos>"),
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
)
"""Tokens that end a model's turn; a server that does not know its model's sends them as text."""


HEADERS = (
    *("<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|assistant|>\n"),
    "<start_of_turn>model\n",
)
"""What a chat template writes before a model's turn; a server that adds it twice lets the model write it."""

_TURNS = ("<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "<|start|>", "<|user|>", "[INST]", "<s>")
_NEXT = re.compile(rf"({'|'.join(map(re.escape, END_TOKENS))})\s*({'|'.join(map(re.escape, _TURNS))})")
_NAMING = frozenset(" `\"'(\u201c")
"""Characters before a token that is named in a sentence."""


class TurnTrimmer:
    """Leaves out what belongs to a chat template.

    That is the header of the turn at the very beginning of a text, a token of `END_TOKENS` at its very end,
    and all from such a token on where another turn begins after it. One that is named in a sentence is text.
    """

    def __init__(self) -> None:
        self._held = self._last = ""
        self._begun = False
        self.stopped = False
        """Whether another turn has begun: nothing more belongs to the text."""

    def push(self, text: str) -> str:
        """Add text and return it but for what is left out, or may yet be."""
        if self.stopped:
            return ""
        text = self._held + text
        if not self._begun:
            if any(header.startswith(text) for header in HEADERS) and text not in HEADERS:
                self._held = text
                return ""
            self._begun = True
            text = next((text.removeprefix(header) for header in HEADERS if text.startswith(header)), text)
        for match in _NEXT.finditer(text):
            if not self._is_named(text, match.start()):
                self.stopped, self._held = True, ""
                return text[: match.start()]
        keep = self._measure_tail(text)
        self._held, text = text[len(text) - keep :], text[: len(text) - keep]
        self._last = text[-1:] or self._last
        return text

    def flush(self) -> str:
        """Return what was held back and is part of the text, where it has ended."""
        held, self._held = self._held, ""
        is_end = held.rstrip() in END_TOKENS and self._last not in _NAMING
        return "" if is_end else held

    def _is_named(self, text: str, at: int) -> bool:
        return (text[at - 1 : at] or self._last) in _NAMING

    def _measure_tail(self, text: str) -> int:
        """Measure the end of a text that is, or may become, the end of the turn."""
        for at in (match.start() for match in _MARK.finditer(text, max(0, len(text) - _LONGEST))):
            tail = text[at:]
            end = next((one for one in END_TOKENS if tail.startswith(one)), None)
            if end is None:
                if any(one.startswith(tail) for one in END_TOKENS):
                    return len(tail)
            else:
                rest = tail[len(end) :].lstrip()
                if any(turn.startswith(rest) for turn in _TURNS):
                    return len(tail)
        return 0


_MARK = re.compile("<")
_LONGEST = 64


_SURROGATE = re.compile("[\ud800-\udfff]")


class SurrogateJoiner:
    """Makes text of text whose characters beyond the basic plane were cut into two halves."""

    def __init__(self) -> None:
        self._half = ""

    def push(self, text: str) -> str:
        """Return the text up to here, but for half a character at its end."""
        if not self._half and not _SURROGATE.search(text):
            return text
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text[: len(text) - len(self._half)]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def flush(self) -> str:
        """Return what is left at the end: nothing, or the mark of a broken character."""
        half, self._half = self._half, ""
        return BROKEN if half else ""
