"""Whether a growing Markdown text is inside code: a fenced block or an inline span. Pure."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"`+|~+|\n|[^`~\n]+")
_FENCE = 3


class CodeTracker:
    """CommonMark's rules, as far as a stream can follow them.

    A fence is three or more backticks or tildes at the start of a line, and ends at as many. An inline
    span ends at a run of as many backticks as it began with, and no later than at an empty line.
    """

    def __init__(self) -> None:
        self._blank = True
        self._char = ""
        self._length = 0
        self._starts_line = False
        self._fence = ("", 0)
        self._info = False
        self._inline = 0

    def push(self, text: str) -> None:
        """The text goes on with this."""
        if (
            self._fence[1] == 0
            and not self._length
            and not self._inline
            and "`" not in text
            and "~" not in text
        ):
            line = text[text.rfind("\n") + 1 :]
            self._blank = not line.strip(" \t") and (self._blank or len(line) < len(text))
            return
        for token in _TOKEN.findall(text):
            char = token[0]
            if self._length and char != self._char:
                self._settle()
            if char in "`~":
                if not self._length:
                    self._char, self._starts_line = char, self._blank
                self._length += len(token)
                self._blank = False
            elif char == "\n":
                if self._blank:
                    self._inline = 0
                self._blank, self._info = True, False
            elif self._blank:
                self._blank = not token.strip(" \t")

    def inside(self) -> bool:
        """Whether what comes next, no backtick or tilde, is inside code."""
        if self._length:
            self._settle()
        return bool(self._fence[1] or self._inline)

    def _settle(self) -> None:
        """A run of backticks or tildes is over: say what it was."""
        char, length, self._length = self._char, self._length, 0
        fence, size = self._fence
        if size:
            if self._info and char == fence == "`":
                self._fence, self._info = ("", 0), False  # ```like this``` is a span after all
            elif self._starts_line and char == fence and length >= size:
                self._fence = ("", 0)
        elif not self._inline and self._starts_line and length >= _FENCE:
            self._fence, self._info = (char, length), True
        elif char == "`":
            self._inline = length if not self._inline else self._inline * (length != self._inline)
