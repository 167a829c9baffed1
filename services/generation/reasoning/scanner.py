"""Cutting a growing text at a profile's tags into thinking and answer. Pure; see `parser` for the rules."""

from __future__ import annotations

import re
from typing import Literal

from services.generation.reasoning.markup import (
    SUSPECT_LENGTH,
    Channel,
    CodeTracker,
    Piece,
    compile_tags,
    is_prose,
    sounds_like_thinking,
)
from services.generation.reasoning.profiles import Profile

_SPACE = re.compile(r"\s*")
_State = Literal["start", "thinking", "gap", "answer", "doubt"]


class Scanner:
    """The state of one text: where it is, what is held back, and the pieces that are certain."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._tags = compile_tags(profile)
        self._out: list[Piece] = []
        self._held = ""
        self._spaces: list[str] = []
        self._before = ""
        self._code = CodeTracker()
        self._tagged = self._thought = self._answered = self._separated = False
        self._doubted: list[str] = []
        self._leads = self._suspect = False
        self._replay = self._prior = ""
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
    def _takes_all(self) -> bool:
        """Whether no tag counts inside the answer, because the engine tells the channels apart."""
        profile = self._profile
        return not self._tagged and (self._separated or (profile.trace == "field" and not profile.unsure))

    def _take_held(self) -> str:
        held, self._held = self._held, ""
        return held

    def _scan(self, text: str, *, final: bool) -> None:
        """Consume `text`, but for an end that may be the beginning of a tag."""
        position = 0
        while position >= 0:
            at, state = position, self._state
            if state == "answer":
                position = self._scan_answer(text, at, final=final)
            elif state == "thinking":
                position = self._scan_thinking(text, at, final=final)
            elif state == "doubt":
                position = self._scan_doubt(text, at, final=final)
            else:
                position = self._scan_before_answer(text, at, final=final)
            if self._replay:
                text, position, self._replay = self._replay + text[position:], 0, ""

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
            return self._leave_start(text, rest, final=final)
        tag, end = match.group(), match.end()
        separated = self._takes_all
        if separated or self._profile.unsure:
            follows_tag = self._prior == ">"
            if end == len(text) and not (final or follows_tag):
                return self._hold_back(text, rest, final=False)
            named = not follows_tag and is_prose(text[at:rest][-1:], text[end : end + 1])
            if tag in self._tags.closers and (named or separated):
                return self._begin_doubt(tag, text, end, leads=True)
            if named and tag not in self._profile.drop:
                self._begin_answer(tag)
                return end
        self._spaces.clear()
        self._state, self._tagged, self._prior = "gap", True, ">"
        if tag in self._tags.closers:
            self._begin_thinking(tag)
        return end

    def _leave_start(self, text: str, at: int, *, final: bool) -> int:
        """Begin the answer, or of a model that nobody knows, what may be thinking without an opener."""
        if self._state == "start" and self._profile.unsure and not self._separated:
            if len(text) - at < SUSPECT_LENGTH and not final:
                return self._hold_back(text, at, final=False)
            if sounds_like_thinking(text[at:]):
                self._state, self._leads, self._suspect = "doubt", True, True
                return at
        self._begin_answer("")
        return at

    def _begin_answer(self, text: str) -> None:
        """Begin the answer with the whitespace that was kept for it, and with this text."""
        self._state, self._suspect = "answer", False
        self._emit_content("".join([*self._spaces, text]) if self._spaces else text)
        self._spaces.clear()

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
        tag, after = match.group(), text[end : end + 1]
        self._emit_content(text[at:start])
        if not (after or final):
            return self._hold_back(text, start, final=False)
        named = is_prose(self._prior, after) and bool(after or tag not in self._profile.drop)
        if self._code.inside() or self._takes_all or (self._prior and named):
            self._emit_content(tag)
        elif tag == self._profile.opener:
            return self._begin_doubt(tag, text, end, leads=False)
        else:
            self._prior = ">"
            if tag == self._profile.closer:
                if not self._thought:
                    self.misplaced = self._content
                self._end_thinking()
        return end

    def _begin_doubt(self, opener: str, text: str, at: int, *, leads: bool) -> int:
        """Begin a block that is thinking where its closer follows, and else a part of the answer."""
        if self._tags.closing[opener].search(text, at):
            return self._confirm_thinking(opener, at)
        self._state, self._opener, self._leads = "doubt", opener, leads
        return at

    def _scan_doubt(self, text: str, at: int, *, final: bool) -> int:
        """Hold the text back up to the closer."""
        tags = self._tags.closing[self._opener]
        match = tags.search(text, at)
        while match and self._suspect:
            start, after = match.start(), text[match.end() : match.end() + 1]
            if not (after or final):
                self._doubted.append(text[at:start])
                self._prior = text[start - 1] if start > at else self._prior
                return self._hold_back(text, start, final=False)
            if not is_prose(text[start - 1] if start > at else self._prior, after):
                break
            match = tags.search(text, match.end())
        if match and self._suspect:
            thoughts = "".join([*self._doubted, text[at : match.start()]])
            self._doubted.clear()
            self._confirm_thinking(self._opener, at)
            self._emit_reasoning(thoughts)
            self._end_thinking()
            return match.end()
        end = match.end() if match else len(text) - (0 if final else tags.overlap(text, at))
        self._doubted.append(text[at:end])
        self._prior = text[end - 1] if end > at else self._prior
        if match is None:
            return self._hold_back(text, end, final=final)
        self._replay = "".join(self._doubted)
        self._doubted.clear()
        return self._confirm_thinking(self._opener, end)

    def _confirm_thinking(self, opener: str, at: int) -> int:
        self._spaces.clear()
        self._suspect = False
        self._tagged = self._tagged or not self._separated
        self._begin_thinking(opener)
        return at

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
        self._before, self._prior = "", ">"
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
            self._spaced, self._prior = text[-1].isspace(), text[-1]
            self._answered = self._answered or not text.isspace()
        else:
            self._thought = True
        self._out.append(Piece(channel, text))
