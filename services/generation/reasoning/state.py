"""The state of a text that is being cut into thinking and answer, and how its pieces come out. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from services.generation.reasoning.markup import Channel, CodeTracker, Piece, compile_tags, nests
from services.generation.reasoning.profiles import Profile

_State = Literal["start", "thinking", "gap", "answer", "doubt"]


class TextState:
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
        self._named = False
        self._leads = self._suspect = self._sounds = self._opened = False
        self._room = 0
        self._replay = self._prior = ""
        self._content = 0
        self._spaced = True
        self._depth = 0
        self._passing: tuple[str, ...] | None = None
        self._passed: list[str] = []
        self._opener = profile.opener
        self._fresh = profile.trace in {"prefilled", "prompted"}
        self._state: _State = "thinking" if self._fresh else "start"
        self.misplaced = 0
        self.lacks_opener = False

    @property
    def _takes_all(self) -> bool:
        """Whether no tag counts inside the answer, because the engine tells the channels apart."""
        apart = self._profile.trace == "none" and not self._profile.guessed
        return not self._tagged and (self._separated or apart)

    @property
    def _should_have_none(self) -> bool:
        """Whether the text should have no tags: the model is guessed not to think, or its server to take the
        thinking apart. What looks as if it had is thinking all the same."""
        profile = self._profile
        return profile.guessed or (profile.trace == "field" and not profile.unsure)

    @property
    def _watches(self) -> bool:
        """Whether an answer that should have no tags is looked through for a closer that no opener began."""
        return not self._separated and self._should_have_none

    @property
    def _nests(self) -> bool:
        return self._profile.nests and nests(self._opener)

    def _adopt(self, opener: str, closers: tuple[str, ...]) -> None:
        """Read what follows with one more opener, and its closers."""
        pairs = ((opener, closer) for closer in closers)
        self._profile = replace(self._profile, aliases=(*self._profile.aliases, *pairs))
        self._tags = compile_tags(self._profile)

    def _take_held(self) -> str:
        held, self._held = self._held, ""
        return held

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
