"""The API's own filters on indicator lists, such as ``confidence>50``: checked here, applied by the platform.

Names and operators are those of the REST docs (v2, filtering). The platform ignores or refuses what it does not know,
depending on its version; so a typing error is told here instead.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from tcetl.errors import ConfigError

_Kind = Literal["text", "number", "time", "flag"]

_COMMON: Final[dict[str, tuple[str, _Kind]]] = {
    "active": ("=", "flag"),
    "summary": ("=^", "text"),
    "dateAdded": ("<>", "time"),
    "rating": ("<>", "number"),
    "confidence": ("=<>", "number"),
    "threatAssessScore": ("=<>", "number"),
    "threatAssessRating": ("<>", "number"),
    "threatAssessConfidence": ("<>", "number"),
    "falsePositive": ("=<>", "number"),
}
_TEXT: Final[tuple[str, _Kind]] = ("=", "text")
_FLAG: Final[tuple[str, _Kind]] = ("=", "flag")
_BY_TYPE: Final[dict[str, dict[str, tuple[str, _Kind]]]] = {
    "Address": dict.fromkeys(("city", "countryCode", "countryName", "organization", "state", "timezone", "asn"), _TEXT),
    "Host": dict.fromkeys(("whoisActive", "dnsActive"), _FLAG),
}
_FILTER: Final = re.compile(r"\s*(?P<name>\w+)\s*(?P<operator>[=<>^!]+)\s*(?P<value>.*?)\s*", re.DOTALL)
_FORMS: Final[dict[_Kind, str]] = {
    "text": "some text",
    "number": "a number",
    "time": "a date or time such as 2026-01-31",
    "flag": "true or false",
}


def checked(filters: Sequence[str], type: str | None = None) -> str | None:  # noqa: A002 - the API's word
    """The value of the ``filters`` parameter for *filters*; None when there are none.

    Args:
        filters: Each ``name``, operator and value: ``=`` equal, ``<`` and ``>`` below and above, ``^`` starts with.
        type: The indicator type that is asked for; some filters are for one type only.

    Raises:
        ConfigError: A filter that the API does not have, or that cannot be written in its notation.
    """
    known = _COMMON | _BY_TYPE.get(type or "", {})
    return ",".join(_checked(text, known) for text in filters) or None


def _checked(text: str, known: dict[str, tuple[str, _Kind]]) -> str:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is not a filter", hint="write name, operator and value, such as confidence>50")
    name, operator, value = match["name"], match["operator"], match["value"]
    if name not in known:
        owners = [kind for kind, names in _BY_TYPE.items() if name in names]
        raise ConfigError(
            f"filter {text!r}: there is no filter {name!r}{f' without type {owners[0]}' if owners else ''}",
            hint=f"known here: {', '.join(known)}",
        )
    operators, kind = known[name]
    if operator not in operators or len(operator) != 1:
        raise ConfigError(
            f"filter {text!r}: {name} cannot be compared by {operator!r}", hint=f"use one of: {'  '.join(operators)}"
        )
    if not _fits(value, kind):
        raise ConfigError(f"filter {text!r}: {value!r} is not {_FORMS[kind]}")
    if "," in value:
        raise ConfigError(
            f"filter {text!r}: a value cannot hold a comma, which separates filters in the API",
            hint="filter for the part before the comma with ^ (starts with)" if "^" in operators else "",
        )
    return f"{name}{operator}{value.lower() if kind == 'flag' else value}"


def _fits(value: str, kind: _Kind) -> bool:
    try:
        if kind == "number":
            float(value)
        elif kind == "time":
            datetime.fromisoformat(value)
    except ValueError:
        return False
    return value.lower() in {"true", "false"} if kind == "flag" else bool(value)
