"""The clock that bounds are measured with counts resting and own work, and leaves out the work of others."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.own_time import OwnTime


def test_time_in_which_nothing_happens_counts() -> None:
    clock = OwnTime()
    time.sleep(0.3)
    assert clock.seconds() <= 0.32


def test_own_work_counts() -> None:
    clock, began = OwnTime(), time.process_time()
    while time.process_time() - began < 0.5:
        pass
    assert clock.seconds() > 0.5 / (os.cpu_count() or 1) - 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="what is no child's work is told by setsid here")
def test_the_work_of_others_does_not_count() -> None:
    busy = "import time\nend = time.monotonic() + 1.0\nwhile time.monotonic() < end: pass"
    cores = os.cpu_count() or 1
    detached = f"for i in $(seq {cores}); do setsid '{sys.executable}' -c '{busy}' & done"
    clock = OwnTime()
    began = time.monotonic()
    subprocess.run(["bash", "-c", detached], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.9)
    assert clock.seconds() < 0.6 * (time.monotonic() - began)
