"""tcetl: the bulk data connector between ThreatConnect and feeds, data lakes and SIEMs."""


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - reading what is installed takes longer than most imports

    return version("tcetl")
