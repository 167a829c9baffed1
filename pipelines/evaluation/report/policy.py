"""The style and the script of a report, and how a content security policy names them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"


def read_template(name: str) -> str:
    """Read a file of the report's templates, as `report.js`."""
    return (TEMPLATES / name).read_text("utf-8")


def hash_source(text: str) -> str:
    """Name a style or a script in a content security policy, so that it alone is let through."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
