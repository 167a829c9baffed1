"""Whose collection it is: a name is qualified by its tenant on its way to the services, and only here.

Tenant `acme` says `docs`, the stores say `acme--docs`. A tenant's own name has no `--` and ends in no hyphen,
so the first `--` of a stored name ends the tenant. The default tenant's names are stored as they are and may
have no `--`, so that they are nobody else's. Where keys are off, all names are stored as they are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing

from services.core.client import NO_HEADERS, Body, HttpClient
from services.core.connections import Payload
from services.core.errors import Forbidden, InvalidRequest, RaglineError
from services.core.sse import Event
from services.core.wire.dataprep import Job, unknown_job
from services.gateway.access.caller import DEFAULT_TENANT, current_caller, find_caller
from services.gateway.access.ledger import find_ledger

SEPARATOR = "--"
MAX_NAME_LENGTH = 63


def stored_name(name: str) -> str:
    """Return what the stores call a collection that the caller names.

    Raises:
        Forbidden: The caller's key is for other collections.
        InvalidRequest: The name is too long once it is qualified, or looks like another tenant's.
    """
    caller = current_caller()
    ledger = find_ledger()
    if ledger is not None:
        ledger.collections.add(name)
    if caller.is_anyone:
        return name
    if caller.collections is not None and name not in caller.collections:
        allowed = ", ".join(sorted(caller.collections)) or "none"
        raise Forbidden(f"the key {caller.id} is not for the collection {name}; it is for: {allowed}")
    if caller.tenant == DEFAULT_TENANT:
        if SEPARATOR in name:
            raise InvalidRequest(f"collection: {name} has {SEPARATOR} in it, which names may not have here")
        return name
    stored = f"{caller.tenant}{SEPARATOR}{name}"
    if len(stored) > MAX_NAME_LENGTH:
        most = MAX_NAME_LENGTH - len(caller.tenant) - len(SEPARATOR)
        raise InvalidRequest(f"collection: {name} is too long: use at most {most} characters")
    return stored


def own_name(stored: str) -> str | None:
    """Return what the caller calls a stored collection; None where it is not the caller's to see."""
    caller = current_caller()
    if caller.is_anyone:
        return stored
    if caller.tenant == DEFAULT_TENANT:
        name = None if SEPARATOR in stored else stored
    else:
        prefix = caller.tenant + SEPARATOR
        name = stored.removeprefix(prefix) if stored.startswith(prefix) else None
    return name if caller.collections is None or name in caller.collections else None


def own_job(job: Job) -> Job:
    """Return a job with its collection's name as the caller says it.

    Raises:
        NotFound: The job is another's; it says what it would say of a job that is nobody's.
    """
    name = own_name(job.collection)
    if name is None:
        raise unknown_job(job.id)
    return job.model_copy(update={"collection": name})


def jobs_query() -> str:
    """Return what a list of jobs is asked for besides, so that it holds the caller's tenant's alone."""
    caller = current_caller()
    if caller.is_anyone:
        return ""
    return (
        f"&without={SEPARATOR}" if caller.tenant == DEFAULT_TENANT else f"&prefix={caller.tenant}{SEPARATOR}"
    )


def own_names(stored: Iterable[str]) -> list[str]:
    """Return those of these collections that are the caller's, by the caller's names."""
    names = map(own_name, stored)
    return [name for name in names if name is not None]


def hide_tenant(text: str) -> str:
    """Return a message of a service with the caller's own names of collections."""
    caller = find_caller()
    if caller is None or caller.is_anyone or caller.tenant == DEFAULT_TENANT:
        return text
    return text.replace(caller.tenant + SEPARATOR, "")


class TenantHttpClient(HttpClient):
    """A client whose errors speak of collections as the caller does."""

    async def _call(
        self,
        method: str,
        path: str,
        body: Payload = None,
        headers: Mapping[str, str] = NO_HEADERS,
        *,
        idempotent: bool = True,
    ) -> bytes:
        try:
            return await super()._call(method, path, body, headers, idempotent=idempotent)
        except RaglineError as error:
            error.message = hide_tenant(error.message)
            raise

    async def stream(
        self,
        path: str,
        payload: Body | None,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        idempotent: bool = False,
    ) -> AsyncGenerator[Event]:
        """See `HttpClient.stream`."""
        try:
            events = super().stream(path, payload, headers=headers, idempotent=idempotent)
            async with aclosing(events):
                async for event in events:
                    yield event
        except RaglineError as error:
            error.message = hide_tenant(error.message)
            raise
