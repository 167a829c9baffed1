"""Parsing what engines emit into two channels, reasoning and content. Pure and incremental.

What comes out after any number of characters depends on these characters alone, never on how they
were cut into deltas. The rules:

- Where nothing is known of the model, its text is held back until a closer makes it thinking, or until an
  opener, the end, or `look_ahead` characters, where they are bounded, make it the answer. Where it begins as
  models begin to think, a closer or the end alone decide.
- Before the answer has begun, any opener of the profile begins the thinking. Whitespace around the
  tags is dropped; several blocks are separated by a newline in the reasoning.
- In the thinking, an opener of the same kind is one more level (but right after an opener that the
  chat template pre-filled it is the model repeating it); a tag directly between backticks is a
  quotation.
- In the answer, the profile's main opener begins another block of thinking where its closer follows; the
  text is held back until then, and is part of the answer where none does. A tag inside code (fenced or
  inline), or named in a sentence (`is_prose`), is part of the answer.
- Where the engine tells the channels apart by itself (a delta had thinking in a field of its own, or the
  profile says that it does), the answer is taken as it is. Only what a server left at its very beginning
  is removed: a whole block, or a closer on a line of its own.
- A closer without an opener: what came before it has been delivered as content and cannot be called
  back in a stream. The closer is dropped, and `misplaced` says how many characters of content turned
  out to be thinking, so that a reply in one piece can be put right.
- Text that ends inside the thinking: `truncated`.
"""

from __future__ import annotations

from services.generation.reasoning.markup import Piece, deliberates, sounds_like_thinking
from services.generation.reasoning.scanner import Scanner


class ReasoningParser(Scanner):
    """Parses one answer of a model with `profile`. Feed it everything, then `finish` it."""

    @property
    def truncated(self) -> bool:
        """Whether the text so far ends inside the thinking, or inside what is thinking unless more comes."""
        return self._state == "thinking" or (self._state == "doubt" and self._is_led_by_opener)

    @property
    def answered(self) -> bool:
        """Whether there is any content but whitespace."""
        return self._answered

    @property
    def thought(self) -> bool:
        """Whether there is any reasoning."""
        return self._thought

    @property
    def holds(self) -> bool:
        """Whether text is held back because its opener may be missing."""
        return self._suspect or (bool(self._held) and self._state == "start" and self._profile.look_ahead > 0)

    @property
    def _is_led_by_opener(self) -> bool:
        """Whether a text in doubt began with an opener that nothing makes a name."""
        return not self._suspect and self._leads and not (self._named or self._separated)

    @property
    def _is_verbatim(self) -> bool:
        return self._profile.trace == "none" and not self._profile.guessed

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
            if self._suspect:
                self._settle_doubt(cut=False)
            begun = self._tagged or self._thought or self._answered or self._held
            if not begun and self._state != "doubt":
                # the text is the answer, also where the chat template pre-filled an opener
                self._state = "gap"
                self._spaces.clear()
            self._separated = self._separated or not self._tagged
            self._emit("reasoning", reasoning)
        if content and (
            self._is_verbatim or (self._state == "answer" and self._takes_all and not self._watches)
        ):
            self._emit_content(self._take_held() + content)
        elif content:
            self._scan(self._held + content, final=False)
        self._passing = self._find_passing()
        return self._take_pieces()

    def finish(self, *, cut: bool = False) -> list[Piece]:
        """Return what was held back; see `settle`. The parser is not to be used afterwards."""
        self._out = self.settle(cut=cut)
        if self._state == "start":
            self._emit_content("".join(self._spaces))
        return self._take_pieces()

    def settle(self, *, cut: bool = False) -> list[Piece]:
        """Return what was held back, where the engine has said all it had to say for now.

        Args:
            cut: A limit has ended the text, possibly inside a block of thinking.
        """
        self._catch_up()
        self._scan(self._take_held(), final=True)
        if self._state == "doubt":
            self._settle_doubt(cut=cut)
        return self._take_pieces()

    def _settle_doubt(self, *, cut: bool) -> None:
        """Decide what a text without a closer was, whose opener was in doubt or missing."""
        text = "".join(self._doubted)
        self._doubted.clear()
        if self._suspect and not (cut and self._thinks_aloud(text)):
            self._begin_answer(text)
        elif cut or self._is_led_by_opener:
            self._end_suspicion()
            self._begin_thinking(self._opener)
            self._emit_reasoning(text)
            self._state = "thinking" if self._leads else "answer"
        else:
            self._begin_answer(f"{self._opener}{text}")

    def _thinks_aloud(self, text: str) -> bool:
        """Tell whether a text that was cut off is thinking for certain, though no closer came."""
        if self._profile.lacks_opener:
            return True
        return self._profile.look_ahead > 0 and (sounds_like_thinking(text, sure=True) or deliberates(text))

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
            self._spaced, self._prior = text[-1].isspace(), text[-1]
        else:
            self._before = text[-1]
