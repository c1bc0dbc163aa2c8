"""From raw feed rows to validated, canonical, deduplicated indicators."""

from tcetl.transform.columns import ColumnMap
from tcetl.transform.normalise import FeedCounts, Normalised, normalise

__all__ = ["ColumnMap", "FeedCounts", "Normalised", "normalise"]
