from __future__ import annotations

import pytest

from services.core import tei
from services.core.errors import (
    DeadlineExceeded,
    InvalidRequest,
    PayloadTooLarge,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.core.tei import TeiError


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (PayloadTooLarge("m"), 413, "Validation"),
        (InvalidRequest("m"), 422, "Validation"),
        (RateLimited("m"), 429, "Overloaded"),
        (ServiceError("m"), 424, "Backend"),
        (RaglineError("m"), 424, "Backend"),
        (ServiceUnavailable("m"), 503, "Unhealthy"),
        (DeadlineExceeded("m"), 504, "Backend"),
    ],
)
def test_teis_statuses_and_kinds(error: RaglineError, status: int, kind: str) -> None:
    rendered = tei.render_error(error, service="embedding", request_id="r1")
    assert rendered[0] == status
    assert rendered[1].model_dump() == {
        "error": "m",
        "error_type": kind,
        "code": error.code,
        "service": "embedding",
        "request_id": "r1",
    }


def test_only_ours_says_which_exception_it_was() -> None:
    assert TeiError(error="m", error_type="Validation").detail is None
    _, body = tei.render_error(RateLimited("m", service="embedding"), service="", request_id="")
    assert body.detail is not None
    assert (body.detail.code, body.detail.service) == ("rate_limited", "embedding")
