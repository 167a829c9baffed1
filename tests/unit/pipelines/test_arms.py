"""The short form of an arm."""

from __future__ import annotations

import pytest

from pipelines.compare import Arm, parse_arm
from services.core.errors import InvalidRequest
from services.core.wire.sampling import Sampling


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("small", Arm("small", "small", "plain")),
        (" small ", Arm("small", "small", "plain")),
        ("small+cite", Arm("small+cite", "small", "cite")),
        ("large@512", Arm("large@512", "large", "plain", Sampling(max_reasoning_tokens=512))),
        ("large+cite@0", Arm("large+cite@0", "large", "cite", Sampling(max_reasoning_tokens=0))),
        ("fast=org/model-1", Arm("fast", "org/model-1", "plain")),
        ("+cite", Arm("+cite", "", "cite")),
    ],
)
def test_short_forms(text: str, arm: Arm) -> None:
    assert parse_arm(text) == arm


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write MODEL"),
        ("=small", "write MODEL"),
        ("small@many", "thinking budget"),
        ("small@-1", "thinking budget"),
        ("small+shout", "there are plain"),
    ],
)
def test_what_is_no_arm_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse_arm(text)
