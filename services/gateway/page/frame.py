"""The frame in which the page shows a run's report: a document of no origin, which can load and send nothing.

A report is a file that anybody may have written. A browser sends no key when it fills a frame, so that the
page asks for the report itself, and hands it to this empty document."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from pipelines.evaluation.report.policy import hash_source, read_template

_SCRIPT = """addEventListener("message", (event) => {
  if (event.source !== parent || typeof event.data !== "string") return;
  document.open();
  document.write(event.data);
  document.close();
});
parent.postMessage("ready", "*");"""

_FRAME = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Report</title>'
    f"<script>{_SCRIPT}</script></html>"
)

router = APIRouter(include_in_schema=False)


def make_report_headers(ancestors: str = "'none'", *scripts: str) -> dict[str, str]:
    """Make the headers of a report, or of its frame: a document of no origin, which loads nothing.

    Of all scripts its own runs, as this version writes it, and `scripts`. Styles are let through, because
    they can load nothing either; reports of other versions have other ones."""
    names = " ".join(map(hash_source, (read_template("report.js"), *scripts)))
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src {names}; img-src data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {ancestors}; sandbox allow-scripts"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }


@router.api_route("/page/report-frame", methods=["GET", "HEAD"])
async def frame() -> HTMLResponse:
    return HTMLResponse(_FRAME, headers=make_report_headers("'self'", _SCRIPT))
