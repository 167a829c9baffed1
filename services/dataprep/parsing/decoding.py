"""Bytes to text: byte order marks, UTF-8, a declared encoding, then a guess; binary files are refused."""

from __future__ import annotations

import re

from services.dataprep.parsing.document import Unparsable

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


def decode(data: bytes, *, declared: str | None = None) -> str:
    """Decode the text; its byte order mark is stripped and nothing else changed.

    `declared` is the encoding that the file says it has. Raises `Unparsable` for binary data and for text
    whose encoding cannot be told.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = _try_encoding(data[len(mark) :], encoding)
            if text is None:
                raise Unparsable(
                    "unsupported", f"has the byte order mark of {encoding} and is not: save it as UTF-8"
                )
            return _refuse_binary(text)
    if b"\0" in data:
        raise Unparsable("unsupported", _BINARY)
    for candidate in (declared, "utf-8"):
        text = _try_encoding(data, candidate) if candidate else None
        if text is not None:
            return _refuse_binary(text)
    return _refuse_binary(_guess(data))


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes  # noqa: PLC0415 - the service lists formats, and guesses nothing

    guess = from_bytes(data).best()
    if guess is None:
        raise Unparsable("unsupported", "is in no text encoding that can be told: save it as UTF-8")
    return str(guess)


def _try_encoding(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _refuse_binary(text: str) -> str:
    if "\0" in text or len(_CONTROLS.findall(text)) > CONTROL_SHARE * len(text):
        raise Unparsable("unsupported", _BINARY)
    return text
