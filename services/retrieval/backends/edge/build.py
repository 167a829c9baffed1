"""A program that builds the graph of a shard that is not open.

    python -m services.retrieval.backends.edge.build FOLDER DIM

It is a process of its own, because the engine holds the interpreter meanwhile: minutes for 100,000 passages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from services.retrieval.backends.edge.shard import Shard

NICENESS = 10


def main(folder: str, dim: str) -> None:
    """Build the graph at low priority, and bring it to the disk."""
    os.nice(NICENESS)
    Shard.build_graph(Path(folder), int(dim))
    os.sync()


if __name__ == "__main__":
    main(*sys.argv[1:])
