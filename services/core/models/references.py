"""Which model a name means: one of the catalogue, or a GGUF file of the hub or the web that it does not list.

owner/name              the Q4_K_M file of that hub repository
owner/name:Q8_0         its file of another quantization
owner/name/file.gguf    that file of it
https://host/file.gguf  the file at that URL

Nothing pins the bytes of a file that is not listed before they are fetched. The first fetch records their
SHA-256 below RAGLINE_HOME, and from then on no others are taken.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from services.core.models.catalogue import CATALOGUE
from services.core.models.files import (
    CatalogueEntry,
    HubChoice,
    HubFile,
    ModelFile,
    Source,
    UnknownModel,
    WebFile,
)

QUANTIZATION = "Q4_K_M"

_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+))?")
_FILE = re.compile(r"([\w.-]+/[\w.-]+)/([\w./-]+\.gguf)", re.IGNORECASE)
_HUB_PAGE = re.compile(r"/([\w.-]+/[\w.-]+)/(?:resolve|blob)/([\w.-]+)/([\w./-]+\.gguf)", re.IGNORECASE)

HOW = "a hub id (owner/name, owner/name:Q8_0, owner/name/file.gguf), the URL of a .gguf file"


def find_catalogue_name(model_id: str) -> str:
    """Find the catalogue's name for a hub id of the model's own owner, or of the owner of its file.

    `Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF` is found without owner and suffix; an id that the catalogue does
    not have is returned as it is.
    """
    owner, _, last = model_id.rpartition("/")
    name = last.lower().removesuffix("-gguf")
    model = CATALOGUE.get(name)
    return name if model is not None and (not owner or owner in _owners(model)) else model_id


def _owners(model: CatalogueEntry) -> set[str]:
    sources = (source for file in model.files for source in file.sources)
    return {
        model.owner,
        *(source.repo.partition("/")[0] for source in sources if isinstance(source, HubFile)),
    }


def find_model(name: str, catalogue: Mapping[str, CatalogueEntry] = CATALOGUE) -> CatalogueEntry:
    """Return the model of that name, hub id or URL.

    Raises:
        UnknownModel: It is none of these; the message lists the catalogue's names.
    """
    model = catalogue.get(name) or read_reference(name)
    if model is None:
        raise UnknownModel(
            f"unknown model {name!r}: choose one of {', '.join(catalogue)}, or give {HOW}, or a path"
        )
    return model


def read_reference(text: str) -> CatalogueEntry | None:
    """Read a hub id or URL as a model whose bytes nothing pins; None where it is neither."""
    source = _read_source(text)
    if source is None:
        return None
    last = re.sub(r"[^a-z0-9_.-]+", "-", text.rstrip("/").rpartition("/")[2].lower()).removesuffix(".gguf")
    name = f"{last.strip('-.') or 'model'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    file = ModelFile(f"{name}.gguf", "", 0, (source,))
    return CatalogueEntry(name, "llm", f"{source}, not in the catalogue", "unknown", (file,), reference=text)


def _read_source(text: str) -> Source | None:
    if text.startswith(("https://", "http://")):
        parts = urlsplit(text)
        if not parts.path.lower().endswith(".gguf"):
            return None
        page = _HUB_PAGE.fullmatch(parts.path) if parts.hostname == "huggingface.co" else None
        return HubFile(page[1], page[3], page[2]) if page else WebFile(text)
    if match := _FILE.fullmatch(text):
        return HubFile(match[1], match[2])
    if match := _REPOSITORY.fullmatch(text):
        return HubChoice(match[1], match[2] or QUANTIZATION)
    return None
