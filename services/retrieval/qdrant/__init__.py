"""A Qdrant server as the store: what the `qdrant` backend is made of."""
