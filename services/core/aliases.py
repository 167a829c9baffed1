"""Other names of variables: OPEA's, where they mean the same.

Ragline's own name wins wherever it has a value. Else the first alias that has one counts, in the order below;
an address is made of OPEA's host and port; and a backend follows from the server that is named for it.
"""

from __future__ import annotations

from collections.abc import Mapping

NAMES: Mapping[str, tuple[str, ...]] = {
    "GATEWAY_PORT": ("MEGA_SERVICE_PORT",),
    "HF_TOKEN": ("HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
}
"""By Ragline's name, the names that stand for it."""

ADDRESSES: Mapping[str, tuple[str, str, int]] = {
    "EMBEDDING_URL": ("EMBEDDING_SERVER_HOST_IP", "EMBEDDING_SERVER_PORT", 80),
    "RETRIEVAL_URL": ("RETRIEVER_SERVICE_HOST_IP", "RETRIEVER_SERVICE_PORT", 7000),
    "RERANKING_URL": ("RERANK_SERVER_HOST_IP", "RERANK_SERVER_PORT", 80),
    "LLM_ENDPOINT": ("LLM_SERVER_HOST_IP", "LLM_SERVER_PORT", 80),
}
"""By Ragline's name, the host, the port, and OPEA's port where it has no value."""

CHOICES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "EMBEDDING_BACKEND": (("TEI_EMBEDDING_ENDPOINT", "", "tei"),),
    "RERANKING_BACKEND": (
        ("CHATQNA_TYPE", "CHATQNA_NO_RERANK", "none"),
        ("TEI_RERANKING_ENDPOINT", "", "tei"),
    ),
}
"""By Ragline's name: a variable, the value that it has (empty: any), and what it means here."""


def read_aliases(environment: Mapping[str, str]) -> dict[str, str]:
    """Read what the environment says by other names, for the variables that have no value of their own.

    Args:
        environment: Variables by name.

    Returns:
        Values by Ragline's names.
    """
    found: dict[str, str] = {}
    for name, aliases in NAMES.items():
        found[name] = next((value for alias in aliases if (value := environment.get(alias))), "")
    for name, (host, port, default) in ADDRESSES.items():
        found[name] = join_address(environment.get(host, ""), environment.get(port, "") or str(default))
    for name, choices in CHOICES.items():
        found[name] = next(
            (
                meaning
                for variable, value, meaning in choices
                if (given := environment.get(variable)) and value in {"", given}
            ),
            "",
        )
    return {name: value for name, value in found.items() if value and not environment.get(name)}


def join_address(host: str, port: str) -> str:
    """Make a URL of a host and a port, as OPEA's settings have them; a host may be a URL already.

    Returns:
        The URL; empty without a host.
    """
    if not host:
        return ""
    if "://" in host:
        return host.rstrip("/")
    named = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{named}:{port}"
