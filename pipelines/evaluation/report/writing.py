"""The report's files, beside the bundle that they are of."""

from __future__ import annotations

from pathlib import Path

from pipelines.evaluation.analysis.integrity import fingerprint
from pipelines.evaluation.bundle.files import parsed, replace
from pipelines.evaluation.bundle.recorded import read_results
from pipelines.evaluation.bundle.store import read
from pipelines.evaluation.load.records import LoadReport
from pipelines.evaluation.report.building import build
from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.rendering import html, markdown, plots
from services.core.errors import InvalidRequest

LOAD = "load.json"
NAME = "report"


def write_report(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `report.json` into a bundle's folder, and say where they are.

    Reads the recorded results, and `load.json` where there is one. The same folder gives the same bytes.
    Raises what reading them raises; InvalidRequest where the results are of other answers.
    """
    bundle, results = read(folder), read_results(folder)
    if results.bundle != fingerprint(bundle):
        raise InvalidRequest(
            f"the results in {folder} are not of its answers: 'ragline replay {folder}' scores them again"
        )
    report = build(bundle, results, _load(folder / LOAD))
    figures = plots(report)
    contents = {
        "html": html(report, figures).encode(),
        "md": markdown(report, figures).encode(),
        "json": _json(report),
    }
    paths = []
    for suffix, content in contents.items():
        path = folder / f"{NAME}.{suffix}"
        try:
            replace(path, content)
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from None
        paths.append(path)
    return paths


def _load(path: Path) -> LoadReport | None:
    return parsed(LoadReport, path.read_bytes(), str(path)) if path.is_file() else None


def _json(report: Report) -> bytes:
    """Without the texts of the disagreements, which are in the bundle."""
    without = {"disagreements": {"__all__": {"text", "passages", "answers"}}}
    return report.model_dump_json(indent=1, exclude=without).encode() + b"\n"
