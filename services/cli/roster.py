"""The six services: their names, ports and the variables that say where each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """`python -m services.<name>` serves on `port_variable` (else `port`).

    `url_variable` tells the others where it is; set by the user, the service is somebody else's to run.
    """

    name: str
    port: int
    url_variable: str | None

    @property
    def port_variable(self) -> str:
        return f"{self.name.upper()}_PORT"


ROSTER: Mapping[str, ServiceSpec] = {
    spec.name: spec
    for spec in (
        ServiceSpec("embedding", 6000, "EMBEDDING_URL"),
        ServiceSpec("retrieval", 7000, "RETRIEVAL_URL"),
        ServiceSpec("reranking", 8000, "RERANKING_URL"),
        ServiceSpec("generation", 9000, "GENERATION_URL"),
        ServiceSpec("dataprep", 5000, "DATAPREP_URL"),
        ServiceSpec("gateway", 8888, None),
    )
}
