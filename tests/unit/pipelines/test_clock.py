from __future__ import annotations

from pipelines.clock import AnswerClock, server_timing


class Time:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_every_duration_by_hand() -> None:
    time = Time()
    clock = AnswerClock(now=time)
    with clock.stage("retrieval"):
        time.at += 0.1
    clock.mark_asked()
    time.at += 0.4
    clock.mark_token(reasoning=True)
    time.at += 1.0
    clock.mark_token(reasoning=False)
    time.at += 0.5
    clock.mark_token(reasoning=False)
    timings = clock.timings(output_tokens=11)
    assert timings.embedding is None
    assert timings.retrieval == 100
    assert timings.ttft == 500
    assert timings.think == 1000
    assert timings.ttfo == 1500
    assert timings.generation == 1900
    assert timings.e2el == 2000
    assert timings.tpot == 150
    assert server_timing(timings).startswith("retrieval;dur=100.0, ttft;dur=500.0")


def test_a_failed_stage_is_counted() -> None:
    time = Time()
    clock = AnswerClock(now=time)
    try:
        with clock.stage("reranking"):
            time.at += 0.2
            raise KeyError
    except KeyError:
        pass
    assert clock.timings().reranking == 200


def test_one_token_has_no_time_per_output_token() -> None:
    clock = AnswerClock()
    clock.mark_token(reasoning=False)
    assert clock.timings(output_tokens=1).tpot is None
