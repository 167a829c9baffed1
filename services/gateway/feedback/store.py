"""The protocol of a store of feedback, and how the one that `FEEDBACK_URL` names is opened."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from services.core.addresses import AddressSetting, StoreAddress
from services.core.backends import Backend, load, names
from services.core.wire.feedback import Feedback, FeedbackPage, FeedbackRequest

PACKAGE = "services.gateway.feedback.backends"
FEEDBACK_URL = AddressSetting(
    variable="FEEDBACK_URL",
    role="the store of feedback",
    examples="sqlite:, sqlite:///path/to/dir or redis://host:6379/0",
    logins="REDIS_USERNAME and REDIS_PASSWORD",
)


class FeedbackStore(Backend, Protocol):
    """Keeps feedback, each tenant's apart."""

    async def add(self, tenant: str, request: FeedbackRequest) -> Feedback:
        """Keep it; it is durable when this returns."""

    async def page(self, tenant: str, *, after: str, limit: int) -> FeedbackPage:
        """Return the tenant's feedback behind the id `after` (empty: from the first), the oldest first."""

    async def delete(self, tenant: str, id_: str) -> bool:
        """Delete one; return whether the tenant had it."""


class CreateFeedbackStore(Protocol):
    """What a backend exports as `create`."""

    async def __call__(self, url: StoreAddress) -> FeedbackStore:
        """Open the store.

        Raises:
            InvalidRequest: The address lacks something.
            ServiceUnavailable: The store cannot be opened; the message says why.
        """


class _BackendModule(Protocol):
    @property
    def create(self) -> CreateFeedbackStore: ...


class LazyStore:
    """Opens the store at its first use, so that a gateway without a place to write serves all the same."""

    def __init__(self, url: str) -> None:
        self.address = StoreAddress.parse(FEEDBACK_URL, url)
        self._backend = cast(_BackendModule, load(PACKAGE, self.address.backend(names(PACKAGE))))
        self._store: FeedbackStore | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> FeedbackStore:
        """Return the open store. Raises `ServiceUnavailable` where that fails; the next use tries anew."""
        async with self._opening:
            if self._store is None:
                self._store = await self._backend.create(self.address)
            return self._store

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()
