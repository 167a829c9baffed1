"""Colours by role. matplotlib draws with stand-ins; the page's style gives each its colour, light or dark."""

from __future__ import annotations

INK, MUTED, GRID, SURFACE, AXIS = "#010101", "#020202", "#030303", "#040404", "#050505"
ARMS = tuple(f"#0a00{index:02x}" for index in range(8))
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "h")
STAGES = {
    "rewriting": "#0b0006",
    "embedding": "#0b0000",
    "retrieval": "#0b0001",
    "reranking": "#0b0002",
    "prefill": "#0b0003",
    "think": "#0b0004",
    "answer": "#0b0005",
}
CLASSES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    SURFACE: "surface",
    AXIS: "axis",
    **{colour: f"arm{index}" for index, colour in enumerate(ARMS)},
    **{colour: f"stage-{stage}" for stage, colour in STAGES.items()},
}
"""A stand-in and the suffix of the classes `fill-...` and `stroke-...` that it becomes."""


def arm_colour(index: int) -> str:
    """Okabe and Ito's, which colour-blind readers tell apart; the marker differs too."""
    return ARMS[index % len(ARMS)]


def arm_marker(index: int) -> str:
    """Moves on where the colours begin again, so that 16 arms are 16 pairs."""
    return MARKERS[(index + index // len(ARMS)) % len(MARKERS)]
