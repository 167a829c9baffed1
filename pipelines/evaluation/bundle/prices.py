"""What an arm's tokens cost, as it was typed and as a bundle records it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from services.core.errors import InvalidRequest

_PRICE = re.compile(
    r"(?P<arm>.+)=(?P<prompt>\d+(?:\.\d+)?)/(?P<completion>\d+(?:\.\d+)?)(?P<currency>[A-Z]{3})?"
)


class Price(BaseModel):
    """What an arm's tokens cost: `prompt` and `completion` (thinking included) per million, in `currency`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float
    completion: float
    currency: str = "USD"


def parse_prices(text: str, arms: Iterable[str]) -> dict[str, Price]:
    """Read prices such as `small=0.15/0.60,large=1/4EUR`: per million prompt and completion tokens.

    Raises:
        InvalidRequest: A price is not written so, is of no arm, or comes twice.
    """
    known = list(arms)
    prices: dict[str, Price] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        match = _PRICE.fullmatch(part)
        if match is None:
            raise InvalidRequest(
                f"price {part!r}: write ARM=PROMPT/COMPLETION, per million tokens, such as small=0.15/0.60EUR"
            )
        arm = match["arm"]
        if arm not in known:
            raise InvalidRequest(f"price {part!r}: there is no arm {arm!r}; there are {', '.join(known)}")
        if arm in prices:
            raise InvalidRequest(f"price {part!r}: {arm!r} has one already")
        prices[arm] = Price(
            prompt=float(match["prompt"]),
            completion=float(match["completion"]),
            currency=match["currency"] or "USD",
        )
    return prices
