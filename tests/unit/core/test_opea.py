from __future__ import annotations

import pytest

from services.core.opea import KEPT, Latencies


def test_percentiles_are_those_of_the_last_requests() -> None:
    latencies = Latencies()
    assert set(latencies.summarise().values()) == {None}
    for seconds in (100.0, *range(1, KEPT + 1)):
        latencies.add(float(seconds), None)
    found = latencies.summarise()
    assert found["p50_latency"] == pytest.approx((KEPT + 1) / 2)
    assert found["p99_latency"] == pytest.approx(1 + 0.99 * (KEPT - 1))
    assert found["average_latency"] == pytest.approx((KEPT + 1) / 2)
    assert found["p50_latency_first_token"] is None
    latencies.add(3.0, 0.5)
    assert latencies.summarise()["p99_latency_first_token"] == 0.5
