"""`VECTOR_URL`: which vector store, and where it is."""

from __future__ import annotations

from services.core.addresses import AddressSetting

VECTOR_URL = AddressSetting(
    "VECTOR_URL",
    role="the vector store",
    examples="edge:, edge:///path/to/dir, qdrant://host:6333 or redis://host:6379/0",
    logins="QDRANT_API_KEY, or REDIS_USERNAME and REDIS_PASSWORD,",
    repeats=True,
)
