"""A classifier behind a text-embeddings-inference server's `/predict`, such as one for prompt injection."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from services.core.client import HttpClient
from services.core.clients.reranking import DetectionClient
from services.core.errors import ServiceError
from services.core.guards.backends._server import ServerSettings
from services.core.guards.guard import Place


class Settings(ServerSettings):
    """Which of the classifier's labels forbid a text."""

    labels: str = Field(
        "unsafe,injection,jailbreak,toxic,hate",
        validation_alias="GUARD_LABELS",
        description="tei: the labels that forbid a text, in any case, separated by commas",
    )
    threshold: float = Field(
        0.5,
        gt=0,
        le=1,
        validation_alias="GUARD_THRESHOLD",
        description="tei: the probability from which such a label forbids it",
    )


class TeiGuard:
    """Asks for the classes of each text."""

    def __init__(self, http: HttpClient, settings: Settings) -> None:
        self._http = http
        self._classifier = DetectionClient(http)
        self._labels = frozenset(part.strip().lower() for part in settings.labels.split(",") if part.strip())
        self._threshold = settings.threshold

    async def judge(self, texts: Sequence[str], place: Place, question: str) -> list[str]:
        reasons = []
        for classes in await self._classifier.predict([(text,) for text in texts]):
            forbidden = {one.label: one.score for one in classes if one.label.lower() in self._labels}
            if not forbidden:
                known = ", ".join(one.label for one in classes)
                raise ServiceError(
                    f"the guard's classifier has the labels {known}, of which GUARD_LABELS names none",
                    service="guard",
                )
            label = max(forbidden, key=lambda name: forbidden[name])
            reasons.append(label if forbidden[label] >= self._threshold else "")
        return reasons

    async def ready(self) -> None:
        await self._http.ready()

    async def close(self) -> None:
        await self._http.aclose()


async def create() -> TeiGuard:
    settings = Settings.load()
    return TeiGuard(settings.client(), settings)
