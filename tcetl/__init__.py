"""tcetl: the bulk data connector between ThreatConnect and feeds, data lakes and SIEMs."""

from importlib.metadata import version

__version__ = version("tcetl")
