"""From raw feed rows to validated, canonical, deduplicated indicators, and to groups."""

from tcetl.transform.cells.tlp import label_name
from tcetl.transform.columns.column_map import ColumnMap
from tcetl.transform.groups.as_groups import as_groups
from tcetl.transform.groups.associate import associate
from tcetl.transform.groups.records import GroupMap, NormalisedGroups, normalise_groups
from tcetl.transform.labelling import label, label_table
from tcetl.transform.normalise import FeedCounts, Normalised, normalise
from tcetl.transform.scoring import Decay, ScoreRule, score
from tcetl.transform.screening.allowlists import ACTIONS, RESERVED, AllowList, allow_list
from tcetl.transform.screening.screen import screen
from tcetl.transform.user import Transform, transform
from tcetl.transform.user.last import transform_indicators

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
