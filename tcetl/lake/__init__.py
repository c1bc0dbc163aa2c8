"""Datasets in a data lake: one zstd Parquet dataset per run, published atomically, found through its manifest."""

from tcetl.lake.dataset import Dataset, latest, open_dataset
from tcetl.lake.parts import File
from tcetl.lake.publishing import publish

__all__ = ["Dataset", "File", "latest", "open_dataset", "publish"]
