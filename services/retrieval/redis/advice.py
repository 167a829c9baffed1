"""What a Redis server's configuration does to passages that were acknowledged."""

from __future__ import annotations

from collections.abc import Mapping


def warnings(info: Mapping[str, object]) -> list[str]:
    """One sentence for each setting that loses passages; `info` is the server's INFO."""
    found = []
    if not info.get("aof_enabled", 1):
        found.append(
            "it keeps no append-only file: passages that were acknowledged are lost when it stops, but for "
            "its last snapshot; set `appendonly yes`"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if info.get("maxmemory") and policy != "noeviction":
        found.append(
            f"it evicts keys when its memory is full (`maxmemory-policy {policy}`), passages too: set "
            "`noeviction`"
        )
    return found
