from __future__ import annotations

import pytest

from services.core import errors


def tree(root: type[errors.RaglineError]) -> list[type[errors.RaglineError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]


DECLARED = [error for error in tree(errors.RaglineError) if error.__module__ == errors.__name__]


def test_the_docstring_is_the_status_table() -> None:
    rows = [line.split()[:3] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    table = {name: (int(status), code) for name, status, code in rows}
    assert table == {error.__name__: (error.status, error.code) for error in DECLARED}


@pytest.mark.parametrize("kind", DECLARED, ids=lambda kind: kind.__name__)
def test_an_error_survives_a_hop(kind: type[errors.RaglineError]) -> None:
    body = kind("change this", service="retrieval").body(service="gateway", request_id="r1")
    again = errors.from_detail(
        errors.ErrorBody.model_validate_json(body.model_dump_json()).error, service="x"
    )
    assert (type(again), again.message, again.service) == (kind, "change this", "retrieval")
    assert again.upstream_status is None


def test_the_raising_service_is_named_where_the_error_names_none() -> None:
    assert errors.NotFound("no").body(service="gateway", request_id="").error.service == "gateway"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.MalformedRequest),
        (404, errors.NotFound),
        (413, errors.PayloadTooLarge),
        (422, errors.InvalidRequest),
        (429, errors.RateLimited),
        (500, errors.RaglineError),
        (503, errors.ServiceUnavailable),
        (504, errors.DeadlineExceeded),
        (418, errors.ServiceError),
        (599, errors.ServiceError),
    ],
)
def test_foreign_statuses(status: int, expected: type[errors.RaglineError]) -> None:
    error = errors.from_status(status, "m", service="tei")
    assert type(error) is expected
    assert error.upstream_status == status
