"""The processor this process may use: how many, and which."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")
CPUINFO = Path("/proc/cpuinfo")


def usable_cpus(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """CPUs by affinity, and by a container's quota where it has one; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cgroup_limit.read_text(encoding="ascii").split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return max(1, allowed)


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
