"""What guards that are servers have in common."""

from __future__ import annotations

from pydantic import Field

from services.core.client import HttpClient
from services.core.settings import Settings


class ServerSettings(Settings):
    """Where the guard's server is."""

    url: str = Field(
        "http://127.0.0.1:8091",
        validation_alias="GUARD_URL",
        description="tei, openai: base URL of the guard's server, without /v1",
    )
    api_key: str = Field(
        "", repr=False, validation_alias="GUARD_API_KEY", description="tei, openai: bearer token for it"
    )

    def client(self) -> HttpClient:
        """Make the client."""
        headers = {"authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return HttpClient("guard", self.url.rstrip("/").removesuffix("/v1"), headers=headers)
