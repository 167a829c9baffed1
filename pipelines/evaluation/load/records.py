"""What a load run records.

A run is one JSON file, a `LoadReport`: for each arm and concurrency a `LoadCell`. Times are milliseconds,
except where a name ends in `_seconds`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pipelines.evaluation.bundle.records import Machine
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmRequest

FORMAT = 1
FIGURES = ("ttft", "ttfo", "e2el", "tpot")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Slo(_Frozen):
    """The service-level objectives of one request: the most ms of each figure; None: no bound."""

    ttft: float | None = None
    ttfo: float | None = None
    e2el: float | None = None
    tpot: float | None = None

    def __str__(self) -> str:
        bounds = ((figure, getattr(self, figure)) for figure in FIGURES)
        return ", ".join(
            f"{figure.upper()} <= {most / 1e3:g} s" for figure, most in bounds if most is not None
        )


class Sample(_Frozen):
    """One request. `error` is the code of what it failed with, `detail` its message; then it has no E2EL, and
    of the other times what was seen before.

    `truncated`: a limit ended it inside the thinking, so that there is no answer.
    """

    arm: str
    concurrency: int
    started: float
    ended: float
    error: str = ""
    detail: str = ""
    abstained: bool = False
    truncated: bool = False
    tokens: int = 0
    ttft: float | None = None
    ttfo: float | None = None
    e2el: float | None = None
    tpot: float | None = None


class Quantile(_Frozen):
    """A quantile in ms with its interval by order statistics; None: too few, `needed` samples would do.

    A request that timed out counts with the time until then, as at least that. `at_least`: such requests are
    among those at or above the quantile, so that it is a lower bound; `high` is None where the interval
    reaches them.
    """

    level: float
    n: int
    needed: int
    value: float | None
    low: float | None
    high: float | None
    at_least: bool = False


class LoadCell(_Frozen):
    """One arm at one concurrency: `requests` ended within `duration_seconds`, some of them in `errors` (by
    code). `throughput` is answers per second, `goodput` answers within every objective per second,
    `tokens_per_second` output tokens. `share_within_slo` is of all requests, failed ones too, with Wilson's
    95 % interval; None where there were none."""

    arm: str
    concurrency: int
    requests: int
    errors: dict[str, int]
    abstained: int
    truncated: int
    duration_seconds: float
    throughput: float
    goodput: float
    tokens_per_second: float
    share_within_slo: float | None
    share_low: float | None
    share_high: float | None
    ttft: tuple[Quantile, ...]
    ttfo: tuple[Quantile, ...]
    e2el: tuple[Quantile, ...]
    tpot: tuple[Quantile, ...]


class LoadConditions(_Frozen):
    """How the load was made. Closed loop: each of `concurrency` users asks, waits for the whole answer,
    waits `pause_seconds` and asks again. A cell ends after `duration_seconds` or `requests`, whichever is
    first. `questions` counts the different ones; `caches` says what kept prefixes cold."""

    driver: str
    target: str
    collection: str
    concurrencies: tuple[int, ...]
    requests: int | None
    duration_seconds: float | None
    pause_seconds: float
    warm_up: int
    seed: int
    questions: int
    cold: bool
    caches: str


class LoadVerdict(_Frozen):
    """How many users an arm serves; `users` None: not even the least concurrency that was tried.

    `open_end`: it held at the greatest one, so that more may be possible. `certain`: the interval, too,
    lies above the share that was asked for.
    """

    arm: str
    users: int | None
    open_end: bool
    certain: bool
    sentence: str


class LoadReport(_Frozen):
    """The whole file. `target_share` of the requests must meet `slo`; `started` in UTC, ISO 8601."""

    format: int = FORMAT
    version: str
    started: str
    arms: tuple[ArmRequest, ...]
    slo: Slo
    target_share: float = Field(gt=0, le=1)
    conditions: LoadConditions
    models: tuple[ModelInfo, ...]
    versions: dict[str, str]
    machine: Machine
    cells: tuple[LoadCell, ...]
    verdicts: tuple[LoadVerdict, ...]
