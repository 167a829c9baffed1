"""Bytes to text: byte order marks, a named encoding, UTF-8, a declared one, then a guess; no binary files.

A guess is said in the result, and how sure it is. It is made from the lines that are not ASCII, by chardet's
models for the encodings of the web, and by three rules of our own that decide where a text is short: words do
not mix alphabets, texts hold no control characters and no drawings of boxes, and where Windows-1252 is nearly
as likely as the best candidate, it is that: most old files are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from services.dataprep.parsing.document import ParseWarning, Unparsable

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_CONTROLS = re.compile(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
CONTROL_SHARE = 0.01
"""A text with more control characters than this is not one; a stray form feed or escape is."""

_BINARY = "is a binary file, not text: give it the suffix of its format"

SAMPLE_BYTES = 1 << 16
_WESTERN = "cp1252"
WESTERN_SHARE = 0.6
"""Windows-1252 is taken where it has this much of the best candidate's likelihood."""

CLOSE_MARGIN = 0.05
SURE, UNSURE = 0.98, 0.6
"""How many guesses are right: all, and those whose next candidate is within `CLOSE_MARGIN`. Measured on 825
cuts of 20 to 140 characters in 20 languages, nine of them Western, with price lists: 96 % at 20 characters,
98 % at 40, all of 414 at 80 and more."""

_WORD = re.compile(r"[^\W\d_]+")
_NO_TEXT = re.compile(r"[\u2500-\u259f\ue000-\uf8ff\x80-\x9f]")
_FOREIGN_TO_LATIN = frozenset({"CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI"})


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A file's text, without its byte order mark and else unchanged."""

    text: str
    warnings: tuple[ParseWarning, ...] = ()


def decode(data: bytes, *, named: str = "", declared: str | None = None) -> DecodedText:
    """Decode a text file.

    Args:
        data: The file.
        named: The encoding that its sender names; nothing else is tried then, but a byte order mark.
        declared: The encoding that the file says it has.

    Raises:
        Unparsable: It is binary data, or not in the encoding that was named, or in none that can be told.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = _try_encoding(data[len(mark) :], encoding)
            if text is None:
                raise Unparsable(
                    "unsupported", f"has the byte order mark of {encoding} and is not: save it as UTF-8"
                )
            return DecodedText(_refuse_binary(text))
    if named:
        text = _try_encoding(data, named)
        if text is None:
            raise Unparsable("invalid", f"is not in the encoding {named}, which the upload names")
        return DecodedText(_refuse_binary(text))
    if b"\0" in data:
        raise Unparsable("unsupported", _BINARY)
    for candidate in (declared, "utf-8"):
        text = _try_encoding(data, candidate) if candidate else None
        if text is not None:
            return DecodedText(_refuse_binary(text))
    return _guess(data)


def is_text_encoding(name: str) -> bool:
    """Whether Python knows an encoding of that name, which turns bytes into text."""
    try:
        b"a".decode(name, "replace")
    except (LookupError, ValueError):
        return False
    return True


def _guess(data: bytes) -> DecodedText:
    candidates = _rank_encodings(_sample(data))
    for place, (likelihood, encoding, sample) in enumerate(candidates):
        text = _try_encoding(data, encoding)
        if text is None:
            continue
        others = (other for other in [*candidates[:place], *candidates[place + 1 :]] if other[2] != sample)
        nearest = max((other[0] for other in others), default=0.0)
        margin = 1 - nearest / likelihood if likelihood else 0.0
        sure = SURE if margin >= CLOSE_MARGIN else UNSURE
        warning = ParseWarning(
            "encoding_guessed",
            f"its encoding is not said and was guessed to be {encoding} ({sure:.0%} sure): where letters are "
            "wrong, send it with encoding=NAME or save it as UTF-8",
        )
        return DecodedText(_refuse_binary(text), (warning,))
    raise Unparsable("unsupported", "is in no text encoding that can be told: save it as UTF-8")


def _sample(data: bytes) -> bytes:
    """Take the lines that are not ASCII, as many as are looked at."""
    lines: list[bytes] = []
    size = 0
    for line in data.splitlines():
        if not line.isascii():
            lines.append(line[:SAMPLE_BYTES])
            size += len(lines[-1])
            if size >= SAMPLE_BYTES:
                break
    return b"\n".join(lines)


def _rank_encodings(sample: bytes) -> list[tuple[float, str, str]]:
    """List likelihood, encoding and the sample's text in it, the likeliest first."""
    ranked = sorted(_rate_encodings(sample), key=lambda candidate: -candidate[0])
    for candidate in ranked:
        if candidate[1] == _WESTERN and candidate[0] >= WESTERN_SHARE * ranked[0][0]:
            return [candidate, *(other for other in ranked if other is not candidate)]
    return ranked


def _rate_encodings(sample: bytes) -> Iterator[tuple[float, str, str]]:
    import chardet  # noqa: PLC0415 - the service lists formats, and guesses nothing

    found = chardet.detect_all(
        sample, ignore_threshold=True, encoding_era=chardet.EncodingEra.MODERN_WEB, compat_names=False
    )
    for result in found:
        encoding = result["encoding"]
        text = _try_encoding(sample, encoding) if encoding else None
        if encoding and text is not None:
            yield 0.0 if _is_odd(text) else result["confidence"], encoding, text


def _is_odd(text: str) -> bool:
    """Whether nobody writes so: words of two alphabets, box drawings, control characters."""
    if _NO_TEXT.search(text):
        return True
    for word in set(_WORD.findall(text)):
        if not word.isascii():
            alphabets = {unicodedata.name(letter, "?").split()[0] for letter in word}
            if "LATIN" in alphabets and alphabets & _FOREIGN_TO_LATIN:
                return True
    return False


def _try_encoding(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _refuse_binary(text: str) -> str:
    if "\0" in text or len(_CONTROLS.findall(text)) > CONTROL_SHARE * len(text):
        raise Unparsable("unsupported", _BINARY)
    return text
