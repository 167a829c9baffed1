"""What a Redis server's configuration does to passages that were acknowledged."""

from __future__ import annotations

from collections.abc import Mapping


def warnings(info: Mapping[str, object], appendfsync: str = "always") -> list[str]:
    """One sentence for each setting that loses passages; `info` is the server's INFO."""
    found = []
    if not info.get("aof_enabled", 1):
        found.append(
            "it keeps no append-only file: passages that were acknowledged are lost when it stops, but for "
            "its last snapshot; set `appendonly yes`"
        )
    elif appendfsync != "always":
        found.append(
            f"it acknowledges what its append-only file does not hold yet (`appendfsync {appendfsync}`): "
            "killed while its disk is slow, it loses up to two seconds of acknowledged passages; set "
            "`appendfsync always`"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if info.get("maxmemory") and policy != "noeviction":
        found.append(
            f"it evicts keys when its memory is full (`maxmemory-policy {policy}`), passages too: set "
            "`noeviction`"
        )
    return found
