"""Cutting a growing text at a profile's tags into thinking and answer. Pure; see `parser` for the rules."""

from __future__ import annotations

import re

from services.generation.reasoning.markup import (
    SUSPECT_LENGTH,
    CodeTracker,
    is_prose,
    sounds_like_thinking,
)
from services.generation.reasoning.profiles import UNBOUNDED
from services.generation.reasoning.state import TextState
from services.generation.reasoning.tags import (
    ForeignClosers,
    Hit,
    match_foreign,
    may_be_foreign,
    opens_foreign,
)

_SPACE = re.compile(r"\s*")


class Scanner(TextState):
    """Scans a text for tags, as far as it has come."""

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
        match = self._tags.leading.match(text, rest) or self._match_foreign(text, rest)
        if match is None:
            if rest == len(text) or (not final and self._may_be_tag(text, rest)):
                return self._hold_back(text, rest, final=final)
            return self._leave_start(text, rest, final=final)
        tag, end = match.tag, match.end
        separated = self._takes_all
        if separated or self._profile.unsure or self._should_have_none:
            follows_tag = self._prior == ">"
            if end == len(text) and not (final or follows_tag):
                return self._hold_back(text, rest, final=False)
            named = not follows_tag and is_prose(text[at:rest][-1:], text[end : end + 1])
            self._named = named
            if tag in self._tags.closers and (named or separated or self._should_have_none):
                return self._begin_doubt(tag, text, end, leads=True)
            if named and tag not in self._profile.drop:
                self._begin_answer(text[rest:end])
                return end
        self._spaces.clear()
        self._state, self._tagged, self._prior = "gap", True, ">"
        if tag in self._tags.closers:
            self._begin_thinking(tag)
        return end

    @property
    def _is_open_to_foreign(self) -> bool:
        return self._state == "start" and not self._separated

    def _match_foreign(self, text: str, at: int) -> Hit | None:
        """Match the opener of a model that is in no list, and know it from now on."""
        pair = match_foreign(text, at) if self._is_open_to_foreign else None
        if pair is None:
            return None
        self._adopt(*pair)
        return Hit(pair[0], at, at + len(pair[0]))

    def _may_be_tag(self, text: str, at: int) -> bool:
        """Tell whether what is left of the text may become a tag, and nothing else."""
        if self._tags.leading.overlap(text, at) == len(text) - at:
            return True
        return self._is_open_to_foreign and may_be_foreign(text, at)

    def _leave_start(self, text: str, at: int, *, final: bool) -> int:
        """Begin the answer, or of a model that nobody knows, what may be thinking without an opener."""
        if self._state == "start" and not self._separated:
            if len(text) - at < SUSPECT_LENGTH and not final:
                return self._hold_back(text, at, final=False)
            # of a model that is known, only what hardly any answer begins with
            self._sounds = sounds_like_thinking(text[at:], sure=not self._profile.unsure)
            if self._sounds or self._profile.look_ahead:
                self._state, self._leads, self._suspect = "doubt", True, True
                self._room = UNBOUNDED if self._sounds else self._profile.look_ahead
                return at
        self._begin_answer("")
        return at

    def _begin_answer(self, text: str) -> None:
        """Begin the answer with the whitespace that was kept for it, and with this text."""
        self._state = "answer"
        self._end_suspicion()
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
        start, end = match.start, match.end
        before = text[start - 1] if start > at else self._before
        if before == "`":
            if end == len(text) and not final:
                self._emit_reasoning(text[at:start])
                return self._hold_back(text, start, final=False)
            if text[end : end + 1] == "`":
                self._emit_reasoning(text[at:end])
                return end
        self._emit_reasoning(text[at:start])
        tag, self._tagged = match.tag, True
        if tag in self._tags.closers[self._opener]:
            self._depth -= 1
            if self._depth < 0:
                self._end_thinking()
        elif tag == self._opener and self._nests and not self._fresh:  # else it is the model repeating it
            self._depth += 1
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
        tag, start, end = match
        after = text[end : end + 1]
        self._emit_content(text[at:start])
        if not (after or final):
            return self._hold_back(text, start, final=False)
        named = is_prose(self._prior, after) and bool(after or tag not in self._profile.drop)
        if self._code.inside() or (self._prior and named) or self._is_text(tag, after):
            self._opened = self._opened or tag in self._tags.closers
            self._emit_content(text[start:end])
        elif tag in self._tags.closers:
            return self._begin_doubt(tag, text, end, leads=False)
        else:
            self._prior = ">"
            if tag not in self._profile.drop:
                self._find_misplaced()
        return end

    def _is_text(self, tag: str, after: str) -> bool:
        """Tell whether a tag that the answer does not name is a part of it all the same.

        Where the text should have none, a closer on a line of its own is not, without an opener, and an
        opener is one where no space is before it. Tags of other models count at the start of a line.
        """
        profile = self._profile
        if tag in profile.drop:
            return self._takes_all
        is_closer = tag not in self._tags.closers
        if self._takes_all or (self._should_have_none and is_closer):
            starts, ends = self._prior == "\n", after in {"\n", ""}
            return not (self._watches and is_closer and not self._opened and starts and ends)
        if self._should_have_none:
            return self._prior in {" ", "\t"}
        if tag in {profile.opener, profile.closer}:
            return False
        return self._opened if is_closer else self._prior not in {"", "\n"}

    def _find_misplaced(self) -> None:
        """Note that the content up to here was thinking, where there was no other; the answer follows."""
        if not self._thought:
            self.misplaced, self.lacks_opener = self._content, True
            self._thought, self._answered, self._tagged = True, False, True
        self._end_thinking()

    def _begin_doubt(self, opener: str, text: str, at: int, *, leads: bool) -> int:
        """Begin a block that is thinking where its closer follows, and else a part of the answer."""
        if self._tags.closing[opener].search(text, at) is not None:
            return self._confirm_thinking(opener, at)
        self._state, self._opener, self._leads = "doubt", opener, leads
        return at

    def _scan_doubt(self, text: str, at: int, *, final: bool) -> int:
        """Hold the text back up to the closer."""
        if self._suspect:
            return self._scan_suspect(text, at, final=final)
        tags = self._tags.closing[self._opener]
        match = tags.search(text, at)
        end = match.end if match else len(text) - (0 if final else tags.overlap(text, at))
        self._doubt(text[at:end])
        if match is None:
            return self._hold_back(text, end, final=final)
        self._replay = "".join(self._doubted)
        self._doubted.clear()
        return self._confirm_thinking(self._opener, end)

    def _scan_suspect(self, text: str, at: int, *, final: bool) -> int:
        """Hold back what may be thinking without an opener: up to a closer, or as long as there is room.

        An opener further on says that the model writes its openers, so that what came before it is answer.
        """
        tags = self._tags.closers_alone if self._sounds else self._tags.any_tag
        while True:
            match, foreign = tags.search(text, at), ForeignClosers.search(text, at)
            if match is None or (foreign is not None and foreign.start < match.start):
                match = foreign
            keep = 0 if final else max(tags.overlap(text, at), ForeignClosers.overlap(text, at))
            end = match.start if match else len(text) - keep
            if end - at >= self._room:
                end = at + self._room
                self._doubt(text[at:end])
                return self._release(end)
            self._doubt(text[at:end])
            if match is None:
                return self._hold_back(text, end, final=final)
            after = text[match.end : match.end + 1]
            if not (after or final):
                return self._hold_back(text, end, final=False)
            at = match.end
            is_pair = match is foreign and opens_foreign("".join(self._doubted), match.tag)
            if not (is_pair or is_prose(self._prior, after) or self._code.inside()):
                break
            self._doubt(text[end:at])
        if match.tag in self._tags.closers:
            return self._release(end)
        thoughts = "".join(self._doubted)
        for marker in self._profile.drop:
            thoughts = thoughts.replace(marker, "")
        self._doubted.clear()
        self._confirm_thinking(self._opener, at)
        self._emit_reasoning(thoughts)
        self._end_thinking()
        self.lacks_opener = True
        return match.end

    def _doubt(self, text: str) -> None:
        """Add to the text that is held back."""
        if text:
            self._doubted.append(text)
            self._prior = text[-1]
            if self._suspect:
                self._room -= len(text)
                self._code.push(text)

    def _end_suspicion(self) -> None:
        """Look no longer for thinking without an opener."""
        if self._suspect:
            self._suspect, self._code = False, CodeTracker()

    def _release(self, at: int) -> int:
        """Take what was held back for the answer's beginning."""
        text = "".join(self._doubted)
        self._doubted.clear()
        self._begin_answer(text)
        return at

    def _confirm_thinking(self, opener: str, at: int) -> int:
        self._spaces.clear()
        self._end_suspicion()
        self._tagged = self._tagged or not self._separated
        self._begin_thinking(opener)
        return at
