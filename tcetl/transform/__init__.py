"""From raw feed rows to validated, canonical, deduplicated indicators, and to groups."""

from tcetl.transform.allowlists import ACTIONS, RESERVED, AllowList, allow_list
from tcetl.transform.as_groups import as_groups
from tcetl.transform.associate import associate
from tcetl.transform.column_map import ColumnMap
from tcetl.transform.groups import GroupMap, NormalisedGroups, normalise_groups
from tcetl.transform.labelling import label, label_table
from tcetl.transform.last import transform_indicators
from tcetl.transform.normalise import FeedCounts, Normalised, normalise
from tcetl.transform.scoring import Decay, ScoreRule, score
from tcetl.transform.screening import screen
from tcetl.transform.tlp import label_name
from tcetl.transform.user import Transform, transform

__all__ = [
    "ACTIONS",
    "RESERVED",
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
    "label",
    "label_name",
    "label_table",
    "normalise",
    "normalise_groups",
    "score",
    "screen",
    "transform",
    "transform_indicators",
]
