"""Several metrics are several chances to be lucky."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given: all at or under alpha hold together at level alpha.

    Holm (1979), Scandinavian Journal of Statistics 6, 65-70: the k-th smallest of m is multiplied by
    m - k + 1, never below a smaller one's and never above 1.
    """
    adjusted = [1.0] * len(p)
    floor = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        floor = min(1.0, max(floor, (len(p) - rank) * p[index]))
        adjusted[index] = floor
    return adjusted
