"""Reads the energy that this machine's processors have taken, from the meters that Linux shows in sysfs.

Running average power limiting (RAPL) counts microjoules per package, and apart from it per memory, in
`/sys/class/powercap/*/energy_uj`; a counter begins again at 0 after `max_energy_range_uj`. What is measured
is the whole machine while a request was under way, idle power included: it is an answer's only where one
request runs at a time, and engines on another machine are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
_COUNTED = ("package", "dram")
"""Domains that add up; cores and graphics are parts of their package, and psys is all of it again."""


@dataclass(frozen=True, slots=True)
class _Counter:
    """One domain's counter, and the value in microjoules after which it begins again."""

    path: Path
    most: int

    def read(self) -> int:
        return int(self.path.read_text("ascii"))


@dataclass(frozen=True, slots=True)
class PowerMeter:
    """The machine's counters that may be read."""

    counters: tuple[_Counter, ...]
    names: tuple[str, ...]

    def read(self) -> tuple[int, ...]:
        """Read all counters, in microjoules; nothing where one cannot be read any more."""
        try:
            return tuple(counter.read() for counter in self.counters)
        except (OSError, ValueError):
            return ()

    def joules_between(self, before: tuple[int, ...], after: tuple[int, ...]) -> float | None:
        """Compute the energy taken between two readings, in which each counter began again once at the most;
        None where a reading is missing."""
        if not before or not after:
            return None
        taken = 0
        for counter, start, end in zip(self.counters, before, after, strict=True):
            taken += end - start if end >= start else end - start + counter.most + 1
        return round(taken / 1e6, 3)


def find_meter(root: Path = POWERCAP) -> PowerMeter | None:
    """Find the machine's power meter; None where there is none, or only root may read it."""
    found: dict[str, _Counter] = {}
    for folder in sorted(root.glob("*"), key=lambda folder: ("mmio" in folder.name, folder.name)):
        try:
            name = (folder / "name").read_text("ascii").strip()
            counter = _Counter(folder / "energy_uj", int((folder / "max_energy_range_uj").read_text("ascii")))
            counter.read()
        except (OSError, ValueError):
            continue
        # the same domain shows again under another driver (intel-rapl-mmio)
        key = f"{name} of {folder.name.split(':', 1)[-1]}"
        if name.startswith(_COUNTED) and key not in found:
            found[key] = counter
    return PowerMeter(tuple(found.values()), tuple(found)) if found else None
