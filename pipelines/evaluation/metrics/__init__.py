"""Metrics of one answer or one ranking: pure functions with their sources; docs/evaluation.md lists them."""
