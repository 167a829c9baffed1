"""The client of a classifier of text pairs behind text-embeddings-inference's `/predict`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import orjson
from pydantic import Field, TypeAdapter

from services.core.client import HttpClient
from services.core.errors import ServiceError
from services.core.wire.base import Wire
from services.core.wire.encoding import decode


class Prediction(Wire):
    """A class and its probability; a pair's are those of all classes, the greatest first."""

    score: float
    label: str


BATCH = 32
"""Pairs in one request: what such a server takes without another `--max-client-batch-size`."""

_PREDICTIONS = TypeAdapter(list[Annotated[list[Prediction], Field(min_length=1)]])


class DetectionClient:
    def __init__(self, http: HttpClient, *, batch: int = BATCH) -> None:
        self._http = http
        self._batch = batch

    async def predict(self, pairs: Sequence[tuple[str, str]]) -> list[list[Prediction]]:
        """The classes of each (premise, hypothesis) with their probabilities; over-long pairs are truncated.

        Raises what the server's status stands for, and `ServiceError` where its reply is not one per pair.
        """
        found: list[list[Prediction]] = []
        for start in range(0, len(pairs), self._batch):
            asked = pairs[start : start + self._batch]
            request = {"inputs": [list(pair) for pair in asked], "raw_scores": False, "truncate": True}
            body = await self._http.post("/predict", orjson.dumps(request), idempotent=True)
            replied = decode(_PREDICTIONS, body, self._http.service)
            if len(replied) != len(asked):
                raise ServiceError(
                    f"{self._http.service} classified {len(replied)} of {len(asked)} pairs",
                    service=self._http.service,
                )
            found += replied
        return found
