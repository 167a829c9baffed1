"""Where the evaluation data is."""

from __future__ import annotations

import os
from pathlib import Path


def evaluation_data() -> Path:
    """The folder; ends the program where it is absent."""
    folder = Path(os.environ.get("RAGLINE_EVALUATION_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"no evaluation data at {folder}: set RAGLINE_EVALUATION_DATA")
    return folder
