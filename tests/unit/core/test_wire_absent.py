"""What is None is left out of replies, so whoever reads one must be able to do without it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import get_args

import pytest

import services.core.wire
from services.core.wire.base import Wire
from services.core.wire.chat import CompletionTokensDetails


def wires(base: type[Wire] = Wire) -> Iterator[type[Wire]]:
    for info in pkgutil.iter_modules(services.core.wire.__path__):
        importlib.import_module(f"services.core.wire.{info.name}")
    for each in base.__subclasses__():
        yield each
        yield from wires(each)


@pytest.mark.parametrize("wire", sorted(set(wires()), key=lambda each: each.__qualname__))
def test_every_field_that_may_be_none_may_be_absent(wire: type[Wire]) -> None:
    required = {name: field.annotation for name, field in wire.model_fields.items() if field.is_required()}
    assert [name for name, annotation in required.items() if type(None) in get_args(annotation)] == []


@pytest.mark.parametrize("tokens", [0, None, 7])
def test_a_null_that_is_written_is_not_written_for_a_default_that_is_left_out(tokens: int | None) -> None:
    details = CompletionTokensDetails(reasoning_tokens=tokens)
    for options in ({}, {"exclude_none": True}, {"exclude_defaults": True}):
        assert CompletionTokensDetails.model_validate_json(details.model_dump_json(**options)) == details
    assert details.model_dump(exclude_none=True) == {"reasoning_tokens": tokens}
    assert CompletionTokensDetails().model_dump(exclude_defaults=True) == {}
