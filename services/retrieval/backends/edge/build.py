"""A program that builds the graph of a shard that is not open.

    python -m services.retrieval.backends.edge.build FOLDER DIM PARENT

It is a process of its own, because the engine holds the interpreter meanwhile: minutes for 100,000 passages.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from services.retrieval.backends.edge.shard import Shard

NICENESS = 10
_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Ask to be killed when the parent dies, on Linux; elsewhere the process ends when it is done."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def main(folder: str, dim: str, parent: str) -> None:
    """Build the graph at low priority, and bring it to the disk."""
    end_with_parent(int(parent))
    os.nice(NICENESS)
    Shard.build_graph(Path(folder), int(dim))
    os.sync()


if __name__ == "__main__":
    main(*sys.argv[1:])
