"""From raw feed rows to validated, canonical, deduplicated indicators, and to groups."""

from tcetl.transform.allowlists import RESERVED, AllowList, allow_list
from tcetl.transform.as_groups import as_groups
from tcetl.transform.associate import associate
from tcetl.transform.columns import ColumnMap
from tcetl.transform.groups import GroupMap, NormalisedGroups, normalise_groups
from tcetl.transform.last import transform_indicators
from tcetl.transform.normalise import FeedCounts, Normalised, normalise
from tcetl.transform.scoring import Decay, ScoreRule, score
from tcetl.transform.screening import screen
from tcetl.transform.tlp import LABELS as TLP_LABELS
from tcetl.transform.user import Transform, transform

__all__ = [
    "RESERVED",
    "TLP_LABELS",
    "AllowList",
    "ColumnMap",
    "Decay",
    "FeedCounts",
    "GroupMap",
    "Normalised",
    "NormalisedGroups",
    "ScoreRule",
    "Transform",
    "allow_list",
    "as_groups",
    "associate",
    "normalise",
    "normalise_groups",
    "score",
    "screen",
    "transform",
    "transform_indicators",
]
