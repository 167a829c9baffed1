"""Files of every format, damaged at random: each is read or refused with a reason, by a process that lives on."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from services.core.errors import RaglineError
from services.dataprep.parsing.chunking import Chunking
from services.dataprep.parsing.document import Limits
from services.dataprep.parsing.sandbox import Sandbox
from tests import samples
from tests.soak import rounds

FILES = rounds(6, 300)
"""A few, and three hundred in a soak."""

LOST = ("the parser died", "the parser ended", "takes longer than", "needs more memory", "does not start")


def damage(data: bytes, dice: random.Random) -> bytes:
    """Cut it off, change bytes, leave a piece out, write a piece twice, or fill one with noise."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        start = dice.randrange(len(out))
        size = dice.randint(1, max(1, len(out) // 8))
        kind = dice.randrange(5)
        if kind == 0 and len(out) > 20:
            del out[max(10, start) :]
        elif kind == 1:
            for at in range(start, min(start + size, start + 8, len(out))):
                out[at] = dice.randrange(256)
        elif kind == 2 and len(out) - size > 10:
            del out[start : start + size]
        elif kind == 3:
            out[start:start] = out[start : start + size]
        else:
            out[start : start + size] = dice.randbytes(size)
    return bytes(out)


@pytest.mark.soak
async def test_damaged_files_are_read_or_refused_and_no_parser_is_lost(tmp_path: Path) -> None:
    files = list(samples.valid().items())
    dice = random.Random(19)
    sandbox = Sandbox(
        processes=1, seconds=60, memory_bytes=1 << 30, limits=Limits(passages=10_000), readable=tmp_path
    )
    results: Counter[str] = Counter()
    wrong: list[str] = []
    try:
        for number in range(FILES):
            name, data = files[number % len(files)]
            path = tmp_path / "file"
            path.write_bytes(damage(data, dice))
            try:
                parsed = await sandbox.parse(path, name, Chunking())
            except RaglineError as error:
                results[type(error).__name__] += 1
                if not error.message.startswith(name) or any(words in error.message for words in LOST):
                    wrong.append(f"{number} {error.message}")
            else:
                results["read"] += 1
                if not parsed.chunks:
                    wrong.append(f"{number} {name} has no passage")
    finally:
        await sandbox.close()
    print(f"{FILES} damaged files: {dict(results)}")
    assert wrong == []
