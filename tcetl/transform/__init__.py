"""From raw feed rows to validated, canonical, deduplicated indicators."""

from tcetl.transform.associate import associate
from tcetl.transform.columns import ColumnMap
from tcetl.transform.normalise import FeedCounts, Normalised, normalise
from tcetl.transform.tlp import LABELS as TLP_LABELS

__all__ = ["TLP_LABELS", "ColumnMap", "FeedCounts", "Normalised", "associate", "normalise"]
