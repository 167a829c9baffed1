"""Question sets: `load_dataset("squad2+noise4", n=200)` gives items of one type, from whatever file."""

from pipelines.evaluation.datasets.items import Dataset, Item, Kind, Source
from pipelines.evaluation.datasets.registry import dataset_names, load_dataset

__all__ = ["Dataset", "Item", "Kind", "Source", "dataset_names", "load_dataset"]
