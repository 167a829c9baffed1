"""Whether a model fits into this machine's memory, by a lower bound: weights, one request's cache, a rest.

Engines take more: with Qwen2.5-Coder of 0.5 and 1.5 billion parameters llama.cpp took 1.6 to 2 times the
file, openvino-genai 2.1 to 3.3 times.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from services.core.errors import RaglineError

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
REST_BYTES = 100_000_000
"""The process itself and its libraries."""

TIGHT = 0.8
"""Share of the memory above which a model that fits by the bound may still not fit."""


class NotEnoughMemory(RaglineError):
    """The model cannot fit into this machine's memory, or its container's."""

    status, code = 507, "not_enough_memory"


def read_memory_limit(cgroup_limits: tuple[Path, ...] = CGROUP_LIMITS) -> int:
    """Read how many bytes this process may use: the machine's, or its container's; 0: nothing says it."""
    limits = []
    for path in cgroup_limits:
        with suppress(OSError, ValueError):
            limits.append(int(path.read_text(encoding="ascii")))
    with suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=0)


def estimate_memory(size: int, kv_bytes: int, context: int) -> int:
    """Return the least bytes that a model of a file of `size` takes with a cache of `context` tokens.

    `kv_bytes` is a token's in float16; an engine may keep it in eight bits, which is half of it.
    """
    return size + kv_bytes // 2 * context + REST_BYTES


def check_memory(name: str, needed: int, limit: int) -> str:
    """Return a warning where `needed` is more than `TIGHT` of the limit; else an empty text.

    Args:
        name: The model.
        needed: Bytes, as `estimate_memory` has them.
        limit: Bytes, as `read_memory_limit` has them; 0 checks nothing.

    Raises:
        NotEnoughMemory: It is more than the limit.
    """
    said = f"model {name} needs at least {_gb(needed)} of memory, and there are {_gb(limit)}"
    if limit and needed > limit:
        raise NotEnoughMemory(
            f"{said}: choose a smaller model (ragline models), less LLM_MAX_CONTEXT, or a server"
        )
    return f"{said}: it may end for lack of it" if limit and needed > TIGHT * limit else ""


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
