"""Datasets, metrics and statistics of a comparison: the extra `evaluation`, not needed by the gateway."""
