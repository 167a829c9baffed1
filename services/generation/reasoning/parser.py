"""Parsing what engines emit into two channels, reasoning and content. Pure and incremental.

What comes out after any number of characters depends on these characters alone, never on how they
were cut into deltas. The rules:

- Before the answer has begun, any opener of the profile begins the thinking. Whitespace around the
  tags is dropped; several blocks are separated by a newline in the reasoning.
- In the thinking, an opener of the same kind is one more level (but right after an opener that the
  chat template pre-filled it is the model repeating it), and a tag directly between backticks is a
  quotation.
- In the answer, the profile's main opener begins another block of thinking; inside code (fenced or
  inline) it is part of the answer, as every other tag is everywhere in the answer.
- A closer without an opener: what came before it has been delivered as content and cannot be called
  back in a stream. The closer is dropped, and `misplaced` says how many characters of content turned
  out to be thinking, so that a reply in one piece can be put right.
- Text that ends inside the thinking: `truncated`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from services.generation.reasoning.markup import CodeTracker, compile_tags
from services.generation.reasoning.profiles import Profile

Channel = Literal["reasoning", "content"]
_SPACE = re.compile(r"\s*")
_State = Literal["start", "thinking", "gap", "answer"]


@dataclass(slots=True)
class Piece:
    """Text for one of the two channels, never empty. Not frozen: that would double the cost of a token."""

    channel: Channel
    text: str


class ReasoningParser:
    """Parses one answer of a model with `profile`. Feed it everything, then `finish` it."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._tags = compile_tags(profile)
        self._out: list[Piece] = []
        self._held = ""
        self._spaces: list[str] = []
        self._before = ""
        self._code = CodeTracker()
        self._tagged = self._thought = self._answered = False
        self._content = 0
        self._spaced = True
        self._depth = 0
        self._passing: tuple[str, ...] | None = None
        self._passed: list[str] = []
        self._opener = profile.opener
        self._fresh = self._echo = profile.trace in {"prefilled", "prompted"}
        self._state: _State = "thinking" if self._fresh else "start"
        self.misplaced = 0

    @property
    def truncated(self) -> bool:
        """Whether the text so far ends inside the thinking."""
        return self._state == "thinking"

    @property
    def answered(self) -> bool:
        """Whether there is any content but whitespace."""
        return self._answered

    @property
    def thought(self) -> bool:
        """Whether there is any reasoning."""
        return self._thought

    @property
    def closer(self) -> str:
        """The tag that would end the thinking that goes on."""
        return self._tags.closers[self._opener][0]

    def feed(self, *, content: str = "", reasoning: str = "") -> list[Piece]:
        """Return what is certain now.

        Args:
            content: The next part of the text.
            reasoning: The next part of the engine's own field for thinking; it passes as it is.
        """
        passing = self._passing
        if passing is not None and content and not reasoning:
            answers = self._state == "answer"
            for first in passing:
                if first in content:
                    break
            else:  # most tokens by far: no tag can begin here, so nothing changes but the text
                if answers or not content[-1].isspace():
                    self._passed.append(content)
                    return [Piece("content" if answers else "reasoning", content)]
        if self._passed:
            self._catch_up()
        if reasoning:
            if not (self._tagged or self._thought or self._answered or self._held):
                # the engine tells the channels apart by itself: the text is the answer, also where the
                # chat template pre-filled an opener
                self._state = "gap"
                self._spaces.clear()
            self._emit("reasoning", reasoning)
        if content and self._profile.trace == "none":
            self._emit("content", content)
        elif content:
            self._scan(self._held + content, final=False)
        self._passing = self._find_passing()
        return self._take_pieces()

    def finish(self) -> list[Piece]:
        """Return what was held back. The parser is not to be used afterwards."""
        self._out = self.settle()
        if self._state == "start":
            self._emit_content("".join(self._spaces))
        return self._take_pieces()

    def settle(self) -> list[Piece]:
        """Return what was held back, where the engine has said all it had to say for now."""
        self._catch_up()
        self._scan(self._held, final=True)
        return self._take_pieces()

    def close(self) -> list[Piece]:
        """End the thinking that goes on, as if all its closers had come, and return what was held back."""
        if not self.truncated:
            return []
        self._out = self.settle()
        if self.truncated:
            self._depth = 0
            self._end_thinking()
        return self._take_pieces()

    def _take_pieces(self) -> list[Piece]:
        out, self._out = self._out, []
        return out

    def _find_passing(self) -> tuple[str, ...] | None:
        """Find the characters without which a text passes as it is, also as thinking where it ends in no
        space; None: no text does."""
        if self._held or self._spaces:
            return None
        if self._state == "answer" and self._answered:
            return self._tags.answering.firsts
        if self._state == "thinking" and self._thought and not self._fresh:
            return self._tags.thinking[self._opener].firsts
        return None

    def _catch_up(self) -> None:
        """Account for what has passed."""
        text = "".join(self._passed)
        self._passed.clear()
        self._passing = None
        if not text:
            return
        if self._state == "answer":
            self._code.push(text)
            self._content += len(text)
            self._spaced = text[-1].isspace()
        else:
            self._before = text[-1]

    def _scan(self, text: str, *, final: bool) -> None:
        """Consume `text`, but for an end that may be the beginning of a tag."""
        position = 0
        while position >= 0:
            at, state = position, self._state
            if state == "answer":
                position = self._scan_answer(text, at, final=final)
            elif state == "thinking":
                position = self._scan_thinking(text, at, final=final)
            else:
                position = self._scan_before_answer(text, at, final=final)

    def _scan_before_answer(self, text: str, at: int, *, final: bool) -> int:
        """Scan between blocks, before the answer: only whitespace, tags and markers keep it there."""
        rest = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches everywhere
        if self._state == "start" and rest > at:
            self._spaces.append(text[at:rest])
        match = self._tags.leading.match(text, rest)
        if match is None:
            if rest == len(text) or (
                not final and self._tags.leading.overlap(text, rest) == len(text) - rest
            ):
                return self._hold_back(text, rest, final=final)
            if self._state == "start":
                self._emit_content("".join(self._spaces))
                self._spaces.clear()
            self._state = "answer"
            return rest
        tag = match.group()
        self._spaces.clear()
        self._state, self._tagged = "gap", True
        if tag in self._tags.closers:
            self._begin_thinking(tag)
        return match.end()

    def _scan_thinking(self, text: str, at: int, *, final: bool) -> int:
        """Scan in the thinking, up to its closer."""
        tags = self._tags.thinking[self._opener]
        match = tags.search(text, at)
        if match is None:
            keep = 0 if final else tags.overlap(text, at)
            self._emit_reasoning(text[at : len(text) - keep])
            return self._hold_back(text, len(text) - keep, final=final)
        start, end = match.span()
        before = text[start - 1] if start > at else self._before
        if before == "`":
            if end == len(text) and not final:
                self._emit_reasoning(text[at:start])
                return self._hold_back(text, start, final=False)
            if text[end : end + 1] == "`":
                self._emit_reasoning(text[at:end])
                return end
        self._emit_reasoning(text[at:start])
        tag, self._tagged = match.group(), True
        if tag in self._tags.closers[self._opener]:
            self._depth -= 1
            if self._depth < 0:
                self._end_thinking()
        elif tag == self._opener and self._profile.nests and not (self._echo and self._fresh):
            self._depth += 1
        self._echo = False
        self._before = ">"
        return end

    def _scan_answer(self, text: str, at: int, *, final: bool) -> int:
        """Scan in the answer, up to a tag."""
        tags = self._tags.answering
        match = tags.search(text, at)
        if match is None:
            keep = 0 if final else tags.overlap(text, at)
            self._emit_content(text[at : len(text) - keep])
            return self._hold_back(text, len(text) - keep, final=final)
        start, end = match.span()
        self._emit_content(text[at:start])
        if self._code.inside():
            self._emit_content(text[start:end])
        elif match.group() == self._profile.opener:
            self._begin_thinking(match.group())
        elif match.group() == self._profile.closer:
            if not self._thought:
                self.misplaced = self._content
            self._end_thinking()
        return end

    def _hold_back(self, text: str, at: int, *, final: bool) -> int:
        self._held = "" if final else text[at:]
        return -1

    def _begin_thinking(self, opener: str) -> None:
        if self._thought:
            self._spaces.append("\n")
        self._state, self._opener, self._depth = "thinking", opener, 0
        self._fresh, self._before = True, ""

    def _end_thinking(self) -> None:
        self._spaces.clear()
        # in the middle of an answer, the space after a block is that between two words
        self._state = "gap" if self._spaced else "answer"
        self._before = ""
        self._depth = 0

    def _emit_reasoning(self, text: str) -> None:
        """Emit thinking; its whitespace waits until something follows."""
        if not text:
            return
        self._before = text[-1]
        if self._fresh:
            text = text.lstrip()
            if not text:
                return
            self._fresh = False
        kept = text.rstrip()
        if kept:
            self._emit("reasoning", "".join([*self._spaces, kept]))
            self._spaces.clear()
        if len(kept) < len(text):
            self._spaces.append(text[len(kept) :])

    def _emit_content(self, text: str) -> None:
        self._code.push(text)
        self._emit("content", text)

    def _emit(self, channel: Channel, text: str) -> None:
        if not text:
            return
        if channel == "content":
            self._content += len(text)
            self._spaced = text[-1].isspace()
            self._answered = self._answered or not text.isspace()
        else:
            self._thought = True
        self._out.append(Piece(channel, text))
