"""Files of the Hugging Face hub, and of any other server of the web.

`HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` work as huggingface_hub documents them.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants

from services.core.models.files import HubChoice, HubFile, Source, WebFile, WheelMembers
from services.core.models.sources import BytesCallback, SourceFailed, watch

REACH_SECONDS = 5.0
STALL_SECONDS = 60.0
PARTIAL = 206


@dataclass(frozen=True, slots=True)
class Measured:
    """A file before it is fetched: which one it is, its bytes, and its SHA-256 where the hub states it."""

    source: HubFile | WebFile
    size: int
    sha256: str = ""


class Hub:
    """One run's view of the hub: found unreachable once, it is not asked again. It fetches URLs too."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint or constants.ENDPOINT
        self._unreachable: str | None = None
        self._reached = False

    def measure(self, source: Source) -> Measured:
        """Find out which file it is and how large, without fetching it. Raises `SourceFailed`."""
        if isinstance(source, WheelMembers):
            raise SourceFailed(f"{source}: the size of wheels is not asked for")
        try:
            if isinstance(source, WebFile):
                return Measured(source, measure_web(source))
            self._reach()
            if isinstance(source, HubChoice):
                source = self._choose(source)
            url = huggingface_hub.hf_hub_url(
                source.repo, source.filename, revision=source.revision, endpoint=self._endpoint
            )
            found = huggingface_hub.get_hf_file_metadata(url, timeout=REACH_SECONDS, endpoint=self._endpoint)
        except SourceFailed:
            raise
        except Exception as error:  # its client raises httpx, OS and its own errors alike
            raise SourceFailed(f"{source}: {_root_cause(error)}") from error
        stated = re.fullmatch(r"[0-9a-f]{64}", found.etag or "")  # the etag of a large file is its hash
        return Measured(source, found.size or 0, stated[0] if stated else "")

    def _choose(self, choice: HubChoice) -> HubFile:
        """Find the repository's file of that quantization; one in parts is none."""
        files = huggingface_hub.HfApi(endpoint=self._endpoint).list_repo_files(choice.repo)
        models = [file for file in files if file.lower().endswith(".gguf") and "mmproj" not in file.lower()]
        wanted = re.compile(rf"(^|[-_./]){re.escape(choice.quantization)}\.gguf$", re.IGNORECASE)
        fitting = sorted((file for file in models if wanted.search(file)), key=len)
        if not fitting:
            there = ", ".join(models) or "no .gguf file: a repository of that model in GGUF is needed"
            raise SourceFailed(f"{choice.repo} has no {choice.quantization} file; it has {there}")
        return HubFile(choice.repo, fitting[0])

    def download(self, source: HubFile | HubChoice | WebFile, staging: Path, report: BytesCallback) -> Path:
        """Download below `staging`, continuing what an earlier run left there. Raises `SourceFailed`."""
        if isinstance(source, WebFile):
            return download_web(source, staging, report)
        from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415 - slow, and rarely needed

        self._reach()
        if isinstance(source, HubChoice):
            source = self._choose(source)
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


def measure_web(source: WebFile) -> int:
    """Ask for a file's size; 0 where the server does not say it."""
    reply = huggingface_hub.get_session().head(source.url, timeout=REACH_SECONDS, follow_redirects=True)
    reply.raise_for_status()
    return int(reply.headers.get("content-length", 0))


def download_web(source: WebFile, staging: Path, report: BytesCallback) -> Path:
    """Download a URL below `staging`; continue what an earlier run left there, if it is still the same file.

    Raises:
        SourceFailed: The server does not give it.
    """
    path, mark = staging / "web.gguf", staging / "web.etag"
    done = path.stat().st_size if path.exists() and mark.exists() else 0
    headers = {"range": f"bytes={done}-", "if-range": mark.read_text("utf-8")} if done else {}
    session = huggingface_hub.get_session()
    try:
        with session.stream(
            "GET", source.url, headers=headers, timeout=STALL_SECONDS, follow_redirects=True
        ) as reply:
            reply.raise_for_status()
            done = done if reply.status_code == PARTIAL else 0
            mark.unlink(missing_ok=True)
            if reply.headers.get("etag", "").startswith('"'):
                mark.write_text(reply.headers["etag"], "utf-8")
            with path.open("ab" if done else "wb") as file:
                for block in reply.iter_bytes():  # as they come: what a cut leaves is kept
                    file.write(block)
                    done += len(block)
                    report(done, "from its server")
    except OSError:
        raise
    except Exception as error:  # its client's own errors
        raise SourceFailed(_root_cause(error)) from error
    mark.unlink(missing_ok=True)
    return path
