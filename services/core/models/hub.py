"""Files of the Hugging Face hub.

`HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` work as huggingface_hub documents them.
"""

from __future__ import annotations

import threading
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants

from services.core.models.catalogue import HubFile
from services.core.models.progress import BytesCallback, SourceFailed, watch

REACH_SECONDS = 5.0


class Hub:
    """One run's view of the hub: found unreachable once, it is not asked again."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint or constants.ENDPOINT
        self._unreachable: str | None = None
        self._reached = False

    def download(self, source: HubFile, staging: Path, report: BytesCallback) -> Path:
        """Download below `staging`, continuing what an earlier run left there. Raises `SourceFailed`."""
        from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415 - slow, and rarely needed

        self._reach()
        folder = staging / "hub"
        folder.mkdir(parents=True, exist_ok=True)
        disable_progress_bars()
        already = sum(path.stat().st_size for path in folder.rglob("*.incomplete"))
        try:
            with watch(folder, lambda grown: report(already + grown, "from the hub")):
                path = huggingface_hub.hf_hub_download(
                    source.repo,
                    source.filename,
                    revision=source.revision,
                    local_dir=folder,
                    etag_timeout=REACH_SECONDS,
                    endpoint=self._endpoint,
                )
        except Exception as error:  # its client raises httpx, OS and xet errors alike
            raise SourceFailed(_root_cause(error)) from error
        return Path(path)

    def _reach(self) -> None:
        # huggingface_hub retries an unreachable host for about 23 s per file; one short request first
        # makes that 5 s per run. A thread, because name resolution ignores the request's timeout.
        if constants.HF_HUB_OFFLINE:
            self._unreachable = "HF_HUB_OFFLINE is set"
        if self._unreachable is None and not self._reached:
            failures = [f"no answer from {self._endpoint} within {REACH_SECONDS:.0f} s"]
            get_session = huggingface_hub.get_session  # imported here, not on the clock

            def ask() -> None:
                try:
                    get_session().head(self._endpoint, timeout=REACH_SECONDS)
                    failures.clear()
                except Exception as error:  # noqa: BLE001 - any failure means: use the next source
                    failures[:] = [f"cannot reach {self._endpoint} ({_root_cause(error)})"]

            thread = threading.Thread(target=ask, name="reach-hub", daemon=True)
            thread.start()
            thread.join(REACH_SECONDS + 1)
            self._unreachable = failures[0] if failures else None
            self._reached = not failures
        if self._unreachable is not None:
            raise SourceFailed(self._unreachable)


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
