"""First-token times of the last hour, by entry."""

from __future__ import annotations

from services.gateway.recent import KEPT, RecentTimes


def test_the_last_hour_is_summarised_by_entry_and_what_is_older_goes() -> None:
    now = 0.0
    recent = RecentTimes(lambda: now)
    recent.note("small", 900.0)
    now = 1800.0
    for took in (100.0, 300.0, 200.0):
        recent.note("small", took)
    recent.note("large", None)  # an abstention: no token came
    assert {name: found.model_dump() for name, found in recent.summarise().items()} == {
        "small": {"n": 4, "median": 250.0, "slowest": 900.0}
    }
    now = 3601.0
    assert recent.summarise()["small"].slowest == 300.0
    now = 9000.0
    assert recent.summarise() == {}


def test_no_more_is_kept_than_it_says() -> None:
    recent = RecentTimes(lambda: 0.0)
    for took in range(KEPT + 5):
        recent.note("small", float(took))
    assert recent.summarise()["small"].n == KEPT
