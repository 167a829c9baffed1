"""What the command line can fail with besides the services' own errors.

RaglineError
  UsageError        a setting or argument must change first
  PortInUse         named with its owner before anything is started
  ServiceDied       a service ended while it was starting; carries its last log lines
  NotReady          still not ready when the time was up
"""

from __future__ import annotations

from services.core.errors import RaglineError


class UsageError(RaglineError):
    code = "usage_error"


class PortInUse(RaglineError):
    code = "port_in_use"


class ServiceDied(RaglineError):
    code = "service_died"

    def __init__(self, message: str, *, service: str, log_tail: list[str]) -> None:
        super().__init__(message, service=service)
        self.log_tail = log_tail


class NotReady(RaglineError):
    code = "not_ready"


class DemoFailed(RaglineError):
    code = "demo_failed"
