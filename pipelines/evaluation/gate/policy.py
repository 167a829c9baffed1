"""The policy: what a candidate must hold, as the user's TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from pipelines.evaluation.results import LEVELS, OVERALL
from services.core.errors import InvalidRequest, NotFound


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Closed):
    """What a policy asks of one metric in one scope; at least one thing.

    `min_difference` is the least gain over the baseline, in the metric's unit, counted so that more is
    better; a negative one is a loss that is accepted (non-inferiority). `max_ratio` bounds how many times
    the baseline's latency or tokens the candidate's may be. `must_not_be_worse` is a `min_difference` of 0.
    `min` and `max` bound the candidate's own mean, or with `percentile` (0.5, 0.95, 0.99) that percentile.
    All of them hold where the whole interval does, fail where none of it does, and are undecided between.
    """

    metric: str
    scope: str = OVERALL
    min_difference: float | None = None
    must_not_be_worse: bool = False
    max_ratio: float | None = Field(None, gt=0)
    min: float | None = None
    max: float | None = None
    percentile: float | None = None

    @model_validator(mode="after")
    def _check_asks_something(self) -> Self:
        limits = (self.min_difference, self.max_ratio, self.min, self.max)
        if all(limit is None for limit in limits) and not self.must_not_be_worse:
            raise ValueError(
                "asks for nothing: give min_difference, must_not_be_worse, max_ratio, min or max"
            )
        if self.percentile not in {None, *LEVELS}:
            raise ValueError(f"percentile is one of {', '.join(map(str, LEVELS))}")
        if self.percentile is not None and self.min is None and self.max is None:
            raise ValueError("percentile needs a max or a min")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no figure is at least {self.min:g} and at most {self.max:g}: min is over max")
        if self.percentile is not None and self.scope != OVERALL:
            raise ValueError(f"percentiles are known of the scope {OVERALL!r} alone")
        return self


class Quality(_Closed):
    """The metric that the verdict is of, and the `margin` in its unit: a loss under it does not matter, and a
    gain under it is none. Shares are counted from 0 to 1, so that three points are 0.03."""

    metric: str = "correct"
    scope: str = OVERALL
    margin: float = Field(gt=0)


class Policy(_Closed):
    """What a candidate must hold to take the baseline's place.

    `candidate` left out: every arm but the baseline, which is the run's first arm where it is left out.
    `quality` gives the verdict; the rules are what must hold besides. `max_failed` and `max_truncated` are
    shares of the candidate's requests. A rule that the sample is too small to decide ends as
    `when_undecided` says."""

    candidate: str = ""
    baseline: str = ""
    when_undecided: Literal["pass", "fail"] = "fail"
    max_failed: float | None = Field(None, ge=0, le=1)
    max_truncated: float | None = Field(None, ge=0, le=1)
    quality: Quality | None = None
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _check_asks_something(self) -> Self:
        if not self.rules and all(
            asked is None for asked in (self.max_failed, self.max_truncated, self.quality)
        ):
            raise ValueError("asks for nothing: give [quality], [[rules]], max_failed or max_truncated")
        return self


USUAL = Policy(quality=Quality(margin=0.03))
"""What a run is held against where no policy was given: three points of right answers."""


def read_policy(path: Path) -> Policy:
    """Read a policy.

    Raises:
        NotFound: There is no such file.
        InvalidRequest: A key is wrong; the message names it and says how.
    """
    try:
        content = path.read_bytes().decode()
    except FileNotFoundError:
        raise NotFound(f"no policy {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from None
    try:
        return Policy.model_validate(tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        raise InvalidRequest(
            "; ".join(f"{path}: {_describe_issue(issue)}" for issue in error.errors())
        ) from None


_PLAINLY = {
    "model_type": "write it as a table, [quality] with its keys below it",
    "tuple_type": "write each rule as a table of its own, [[rules]] with two brackets",
    "float_type": "give a number",
    "float_parsing": "give a number, without quotes",
    "string_type": "give a text in quotes",
    "missing": "it is missing",
}
"""What pydantic says of a file, by its kind of error, for who wrote the file."""


def _describe_issue(error: ErrorDetails) -> str:
    """`rules[1].min_diference: there is no such key: ...`, the first rule being 1 as in the file."""
    place = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    if error["type"] == "extra_forbidden":
        parts: dict[str, type[_Closed]] = {"rules": Rule, "quality": Quality}
        kind = parts.get(str(error["loc"][0]), Policy) if len(error["loc"]) > 1 else Policy
        return f"{place[1:]}: there is no such key; there are {', '.join(kind.model_fields)}"
    message = _PLAINLY.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    if error["type"] in {"greater_than", "greater_than_equal", "less_than_equal"}:
        message = f"{error['input']} cannot be: {message.replace('Input should', 'it must')}"
    return f"{place[1:]}: {message}" if place else message
