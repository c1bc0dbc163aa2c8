"""Feeds as data: those that come with tcetl, one declarative file each, the user's own, and how one is read."""

from tcetl.catalogue.adjusting import Adjusting, adjust
from tcetl.catalogue.definition import FeedDefinition, read_definition
from tcetl.catalogue.drift import Alarm, DriftError
from tcetl.catalogue.library import find, names, resolve
from tcetl.catalogue.reading import Reading, read
from tcetl.catalogue.undeclared import undeclared

__all__ = [
    "Adjusting",
    "Alarm",
    "DriftError",
    "FeedDefinition",
    "Reading",
    "adjust",
    "find",
    "names",
    "read",
    "read_definition",
    "resolve",
    "undeclared",
]
