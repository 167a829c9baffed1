"""`qdrant://host:6333`: a Qdrant server, by HTTP or (`?grpc_port=6334`) gRPC; `qdrants://` for TLS."""

from __future__ import annotations

from pydantic import Field, SecretStr
from qdrant_client import AsyncQdrantClient

from services.core.addresses import StoreAddress
from services.core.errors import InvalidRequest
from services.core.settings import Settings as BaseSettings
from services.retrieval.backends.qdrant.store import QdrantStore


class Settings(BaseSettings):
    """The Qdrant server."""

    api_key: SecretStr = Field(
        SecretStr(""), validation_alias="QDRANT_API_KEY", description="API key of the Qdrant server"
    )
    grace_seconds: float = Field(
        30,
        ge=0,
        validation_alias="QDRANT_GRACE_SECONDS",
        description="how long after a document's replacement or deletion its hidden passages stay on the "
        "Qdrant server, for searches that other replicas began before",
    )


async def create(url: StoreAddress) -> QdrantStore:
    """Make a client of the server that `url` names; it is first called at first use."""
    if not url.host:
        raise InvalidRequest("VECTOR_URL names no Qdrant server: write qdrant://host:6333")
    grpc_port = url.options.get("grpc_port", "")
    if grpc_port and not grpc_port.isdecimal():
        raise InvalidRequest(f"VECTOR_URL: grpc_port={grpc_port!r} is not a port number")
    port = url.port or 6333
    settings = Settings.load()
    client = AsyncQdrantClient(
        host=url.host,
        port=port,
        grpc_port=int(grpc_port or 6334),
        prefer_grpc=bool(grpc_port),
        https=url.tls,
        api_key=settings.api_key.get_secret_value() or None,
        prefix=url.path.strip("/") or None,
        timeout=60,
        check_compatibility=False,
    )
    return QdrantStore(client, f"{url.host}:{port}", settings.grace_seconds)
