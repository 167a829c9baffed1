"""Names and ids: what a document may be called, and ids that follow from name, bytes and chunking alone."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata

from services.core.errors import InvalidRequest
from services.core.wire.base import Metadata
from services.dataprep.parsing.chunking import Chunking

NAME_BYTES = 255
FORMAT = 4
"""Raise it when parsers or chunking change what they give: stored documents then count as outdated."""

_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_NO_NAMES = frozenset({"", ".", ".."})
_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, lone surrogates, line and paragraph separators."""


def clean_name(offered: str) -> str:
    """The name in NFC. Raises `InvalidRequest` for anything but a relative path such as `guide/setup.md`."""
    name = unicodedata.normalize("NFC", offered)
    problem = _problem(name)
    if problem:
        shown = ascii(offered if len(offered) <= NAME_BYTES else offered[:NAME_BYTES] + "...")
        raise InvalidRequest(f"the file name {shown} {problem}: use a relative path such as guide/setup.md")
    return name


def _problem(name: str) -> str:
    """What is wrong with the name, as the end of a sentence; empty where nothing is."""
    rules = (
        (not name.strip(), "is empty"),
        ("\ufffd" in name, "is not UTF-8"),
        (any(unicodedata.category(letter) in _FORBIDDEN for letter in name), "contains a control character"),
        ("\\" in name, "contains a backslash"),
        (_ABSOLUTE.match(name) is not None, "is an absolute path"),
        (any(part.strip() in _NO_NAMES for part in name.split("/")), "has an empty, . or .. part"),
        (len(name.encode("utf-8", "replace")) > NAME_BYTES, f"is longer than {NAME_BYTES} bytes"),
    )
    return next((problem for broken, problem in rules if broken), "")


def document_id(name: str) -> str:
    """`doc-` and the first 16 hex digits of the SHA-256 of the (clean) name."""
    return f"doc-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def revision(sha256: str, chunking: Chunking, encoding: str = "", metadata: Metadata | None = None) -> str:
    """The SHA-256 over the file's own SHA-256 and all that decides its passages."""
    source = (
        f"{FORMAT}:{sha256}:{chunking.size}:{chunking.overlap}:{chunking.tokens}{encoding and ':'}{encoding}"
    )
    if metadata:
        source += json.dumps(metadata, sort_keys=True)
    return hashlib.sha256(source.encode()).hexdigest()
