"""What a parser process is asked: a job, framed as a four-byte big-endian length and JSON.

A parse job is answered with one frame of JSON. An expand job is answered with a frame for each `Piece`, a
letter and what it says, up to `Piece.END` or `Piece.FAILED`.
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
    """The letters: a member begins (its name), some of its bytes, it cannot be had (a failure's JSON), the
    archive as a whole cannot (likewise), the end."""

    MEMBER = b"M"
    DATA = b"D"
    PROBLEM = b"P"
    FAILED = b"F"
    END = b"E"


@dataclass(frozen=True, slots=True)
class Job:
    """Parse the file at `path`, called `name`, and cut it into chunks; or expand it, an archive."""

    path: str
    name: str
    seconds: float
    kind: Literal["parse", "expand"] = "parse"
    chunking: Chunking = field(default_factory=Chunking)
    limits: Limits = field(default_factory=Limits)

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Job:
        fields = json.loads(data)
        fields["chunking"] = Chunking(**fields["chunking"])
        fields["limits"] = Limits(**fields["limits"])
        return cls(**fields)


def frame(data: bytes) -> bytes:
    return HEADER.pack(len(data)) + data
