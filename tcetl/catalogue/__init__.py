"""Feeds as data: those that come with tcetl, one declarative file each, the user's own, and how one is read."""

from tcetl.catalogue.definition import FeedDefinition, read_definition
from tcetl.catalogue.drift import Alarm, DriftError
from tcetl.catalogue.library import find, names, resolve
from tcetl.catalogue.reading import Reading, read
from tcetl.catalogue.undeclared import undeclared

__all__ = [
    "Alarm",
    "DriftError",
    "FeedDefinition",
    "Reading",
    "find",
    "names",
    "read",
    "read_definition",
    "resolve",
    "undeclared",
]
