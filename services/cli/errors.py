"""What the command line can fail with besides the services' own errors.

RaglineError
  UsageError        a setting or argument must change first
  PortInUse         a port is taken; said before anything is started
  ServiceDied       a service ended while it was starting; has its last log lines
  NotReady          a service was still not ready when the time was up
  DemoFailed        a step of the demo did not hold
"""

from __future__ import annotations

import errno

from services.cli.console import Output
from services.core.errors import RaglineError, ServiceUnavailable


class UsageError(RaglineError):
    code = "usage_error"


class PortInUse(RaglineError):
    code = "port_in_use"


UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOSPC, errno.EDQUOT})


class ServiceDied(RaglineError):
    code = "service_died"

    def __init__(self, message: str, *, service: str, log_tail: list[str]) -> None:
        super().__init__(message, service=service)
        self.log_tail = log_tail


class NotReady(RaglineError):
    code = "not_ready"


class DemoFailed(RaglineError):
    code = "demo_failed"


def print_error(error: Exception) -> bool:
    """Print a Ragline error on standard error. Returns False, and prints nothing, where it is none."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE and error.filename:
        error = RaglineError(
            f"{error.filename} cannot be written ({error.strerror}): RAGLINE_HOME says where Ragline keeps "
            "its files"
        )
    if not isinstance(error, RaglineError):
        return False
    output = Output.standard()
    if isinstance(error, ServiceDied):
        for line in error.log_tail:
            output.problem(f"  {line}")
    output.error(error)
    is_down = type(error) is ServiceUnavailable and error.retry_after is None  # and not merely busy
    if is_down and error.service == "gateway":
        output.problem("'ragline up' starts it; RAGLINE_URL names one that runs elsewhere")
    return True
