"""The audit log: a line of JSON for each request, of who did what and which documents the answer cites."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import structlog

from services.core.context import request_id
from services.core.errors import ServiceUnavailable
from services.gateway.access.caller import Caller
from services.gateway.access.ledger import Ledger

STDOUT = "-"
LOOK_SECONDS = 1.0

log = structlog.get_logger(__name__)


class AuditLog:
    """Appends lines to a file, one write each, or to standard output. A file that was moved away is made
    anew."""

    def __init__(self, path: str, *, content: bool) -> None:
        """Open the log.

        Args:
            path: The file; `-` is standard output.
            content: Whether questions and answers are written too.

        Raises:
            OSError: The file cannot be opened.
        """
        self.keeps_content = content
        self._path = None if path == STDOUT else Path(path).expanduser()
        self._file = -1
        self._problem = ""
        self._look_again = 0.0
        if self._path is not None:
            self._file = self._open(self._path)

    def write(
        self, caller: Caller | None, ledger: Ledger, *, method: str, path: str, status: int, seconds: float
    ) -> None:
        """Write what came of a request; `caller` is None where it was not let in.

        A line that cannot be written is said in the log and in `/health/ready`; the request goes on.
        """
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": request_id.get(),
            "key": caller.id if caller else "",
            "subject": caller.subject if caller else "",
            "tenant": caller.tenant if caller else "",
            "method": method,
            "path": path,
            "status": status,
            "seconds": round(seconds, 3),
        }
        if ledger.collections:
            line["collections"] = sorted(ledger.collections)
        if ledger.models:
            line["models"] = sorted(ledger.models)
            line["prompt_tokens"] = ledger.prompt_tokens
            line["completion_tokens"] = ledger.completion_tokens
            line["cited"] = sorted(ledger.documents)
        if ledger.received_bytes:
            line["uploaded_bytes"] = ledger.received_bytes
        if self.keeps_content:
            line |= {"questions": ledger.questions, "answers": ledger.answers}
        try:
            self._append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            self._problem = ""
        except OSError as error:
            if not self._problem:
                log.error("the audit log cannot be written", reason=str(error))
            self._problem = str(error)

    async def check(self) -> None:
        """Raise `ServiceUnavailable` where the last line could not be written."""
        if self._problem:
            raise ServiceUnavailable(f"AUDIT_LOG cannot be written: {self._problem}")

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes) -> None:
        if self._path is None:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            return
        if self._file < 0 or self._is_moved(self._path):
            self.close()
            self._file = self._open(self._path)
        os.write(self._file, line)

    def _is_moved(self, path: Path) -> bool:
        """Look, once a second, whether the file is still the one of that name."""
        if time.monotonic() < self._look_again:
            return False
        self._look_again = time.monotonic() + LOOK_SECONDS
        try:
            return path.stat().st_ino != os.fstat(self._file).st_ino
        except OSError:
            return True

    def _open(self, path: Path) -> int:
        # what others asked is nobody's to read but the operator's
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
