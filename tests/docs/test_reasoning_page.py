"""What docs/reasoning.md says of profiles and budgets is what the code holds."""

from __future__ import annotations

import re
from pathlib import Path

from services.generation.reasoning.budget import EFFORT, RESERVE
from services.generation.reasoning.profiles import PROFILES

PAGE = (Path(__file__).parents[2] / "docs" / "reasoning.md").read_text()
GENERIC = {"tags", "prefilled", "field"}


def test_every_profile_with_its_sampling() -> None:
    rows = re.findall(r"^\| `([\w.-]+)` \|.*\| ([\d.]+), ([\d.]+) \| (.+) \|$", PAGE, re.MULTILINE)
    shown = {
        name: (float(temperature), float(top_p), system == "as sent")
        for name, temperature, top_p, system in rows
    }
    held = {
        name: (profile.temperature, profile.top_p, profile.system_prompt)
        for name, profile in PROFILES.items()
        if name not in GENERIC
    }
    assert shown == held
    assert all(f"`{name}`" in PAGE for name in GENERIC)


def test_efforts_and_reserve() -> None:
    for effort, tokens in EFFORT.items():
        assert re.search(rf"`{effort}`\s+{tokens:,}\b", PAGE), effort
    assert f"{RESERVE} tokens, or half" in PAGE
