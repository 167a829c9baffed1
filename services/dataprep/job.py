"""What a parser process is asked: a job, framed as a four-byte big-endian length and JSON."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass

HEADER = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Job:
    """Parse the file at `path`, called `name`, within the limits, and cut it into chunks."""

    path: str
    name: str
    size: int
    overlap: int
    pages: int
    characters: int
    seconds: float

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Job:
        return cls(**json.loads(data))


def frame(data: bytes) -> bytes:
    return HEADER.pack(len(data)) + data
