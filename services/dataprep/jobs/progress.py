"""How far a file is, told to the job store as it changes."""

from __future__ import annotations

import structlog

from services.core.errors import RaglineError
from services.dataprep.jobs.store import JobQueue, Ticket

log = structlog.get_logger(__name__)


class Progress:
    """`file` is the state of now.

    `wrote`: hidden passages of it may be stored. `publishing`: they may be visible, it is too late to cancel.
    """

    def __init__(self, store: JobQueue, ticket: Ticket) -> None:
        self._store = store
        self._ticket = ticket
        self.file = ticket.file
        self.wrote = ticket.file.attempts > 1
        self.publishing = False

    async def tell(self, **changed: object) -> None:
        """Fields of `JobFile` that are new. A store that does not answer misses them, and nothing else."""
        self.file = self.file.model_copy(update=changed)
        try:
            await self._store.report(self._ticket, self.file)
        except RaglineError as error:
            log.warning("progress was not recorded", reason=error.message)

    async def waits(self, error: Exception | None) -> None:
        """Record what a call waits for; None when one has what it waited for. Several may wait at a time."""
        if isinstance(error, RaglineError):
            named = error.service in error.message
            reason = error.message if named else f"{error.service}: {error.message}"
            await self.tell(status="waiting", reason=reason)
        else:
            await self.tell(status="running", reason="")
