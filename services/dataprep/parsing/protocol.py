"""What a parser process is asked and how it answers: frames of a four-byte big-endian length and their bytes.

A task is JSON. To a parse task the process answers with one frame of JSON. To an unpack task it answers with
a frame for each `Piece`, a letter and what it says, up to `Piece.END` or `Piece.FAILED`.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, field
from typing import Literal

from services.dataprep.parsing.chunking import Chunking
from services.dataprep.parsing.document import Limits

HEADER = struct.Struct(">I")


class Piece:
    """The letters of an unpack task's frames.

    A member begins (its name); some of its bytes; it cannot be had (a failure's JSON); the archive as a whole
    cannot be had (likewise); the end.
    """

    MEMBER = b"M"
    DATA = b"D"
    PROBLEM = b"P"
    FAILED = b"F"
    END = b"E"


@dataclass(frozen=True, slots=True)
class Task:
    """Parse the file at `path`, called `name`, and cut it into chunks; or unpack it, an archive.

    `encoding` is what the upload names for its text files.
    """

    path: str
    name: str
    seconds: float
    kind: Literal["parse", "unpack"] = "parse"
    chunking: Chunking = field(default_factory=Chunking)
    limits: Limits = field(default_factory=Limits)
    encoding: str = ""

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Task:
        fields = json.loads(data)
        fields["chunking"] = Chunking(**fields["chunking"])
        fields["limits"] = Limits(**fields["limits"])
        return cls(**fields)


def frame(data: bytes) -> bytes:
    """Put the length in front."""
    return HEADER.pack(len(data)) + data
