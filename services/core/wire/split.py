"""`/v1/split`: which share of the questions that name no model goes to which entry."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from services.core.wire.base import StrictWire, Text, Wire

WHOLE = 100.0


def check_shares(shares: dict[str, float]) -> dict[str, float]:
    """Return the shares. Raises `ValueError`, by name, where one or their sum is not within 0 to 100."""
    for name, share in shares.items():
        if not name:
            raise ValueError("a share has no entry: write NAME=PERCENT")
        if not 0 <= share <= WHOLE:
            raise ValueError(f"{name}={share:g}: a share is a percentage, 0 to 100")
    total = sum(shares.values())
    if total > WHOLE:
        raise ValueError(
            f"{', '.join(f'{name}={share:g}' for name, share in shares.items())}: {total:g} is over 100"
        )
    return shares


def read_shares(text: str) -> dict[str, float]:
    """Read LLM_SPLIT: `large=10,other=5`, or the same as a JSON object.

    Raises:
        ValueError: It is neither, or a share or their sum is not within 0 to 100; it names the entry.
    """
    text = text.strip()
    if not text:
        return {}
    if text.startswith("{"):
        try:
            parsed = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"not a JSON object: {error}") from None
        pairs = [(str(name), str(share)) for name, share in parsed.items()]
    else:
        pairs = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, share = part.partition("=")
            pairs.append((name.strip(), share.strip()))
    shares: dict[str, float] = {}
    for name, share in pairs:
        if name in shares:
            raise ValueError(f"{name} has two shares")
        try:
            shares[name] = float(share.removesuffix("%"))
        except ValueError:
            raise ValueError(f"{name}={share}: write NAME=PERCENT, as in large=10") from None
    return check_shares(shares)


Shares = Annotated[dict[Text, float], AfterValidator(check_shares)]
"""Percent by entry; what is left goes to the default entry."""


class SplitRequest(StrictWire):
    """`PUT /v1/split`. With `revision` it is refused where somebody else has changed the split since then."""

    shares: Shares
    why: Text = Field("", max_length=500)
    revision: int | None = Field(None, ge=0)


class LiveSplit(Wire):
    """A split that was set while the gateways ran: by whom, when and why. `revision` grows by one each time.

    `shares` is None where the live split was ended, so that LLM_SPLIT counts again.
    """

    shares: Shares | None = None
    revision: int = Field(ge=1)
    by: str = ""
    at: datetime
    why: str = ""


class SplitReply(Wire):
    """The split in force, `shares`, and where it comes from.

    `configured` is LLM_SPLIT. A `live` one stands in its place until it is deleted; `overrides` says that the
    two differ. `unknown` are entries that generation does not have: their share stays with the default one.
    """

    shares: Shares
    configured: Shares
    live: LiveSplit | None = None
    overrides: bool = False
    unknown: list[str] = Field(default_factory=list)
    detail: str = ""
