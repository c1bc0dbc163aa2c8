"""The v2 ``filters`` grammar, ``modifiedSince`` and paging, turned into SQL (api §1.6)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from starlette.datastructures import QueryParams

from tcetl.emulator.answers import RefusalError
from tcetl.emulator.clock import iso
from tcetl.emulator.render import INCLUDES

PAGE_LIMIT: Final = 10_000


def flag(text: str) -> bool:
    """Read a boolean; Python's ``True`` occurs (api §9 G-37)."""
    return text.lower() == "true"


def moment(text: str) -> str:
    """Read an ISO date and return it as it is stored; an unencoded ``+`` arrives as a space (api §1.6)."""
    try:
        parsed = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
    except ValueError as error:
        raise RefusalError(400, f"The date {text!r} is not valid") from error
    return iso((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


@dataclass(frozen=True, slots=True)
class _Field:
    column: str
    operators: str
    convert: Callable[[str], Any]


def _flag_number(text: str) -> int:
    return int(flag(text))


_SUMMARY: Final = "summary"
_FIELDS: Final[dict[str, _Field]] = {
    "active": _Field("active", "=", _flag_number),
    _SUMMARY: _Field(_SUMMARY, "=^", str),
    "dateAdded": _Field("date_added", "<>", moment),
    "rating": _Field("rating", "<>=", float),
    "confidence": _Field("confidence", "=<>", int),
    "threatAssessScore": _Field("ta_score", "=<>", int),
    "threatAssessRating": _Field("ta_rating", "<>", float),
    "threatAssessConfidence": _Field("ta_confidence", "<>", float),
    "falsePositive": _Field("false_positives", "=<>", int),
    "whoisActive": _Field("whois_active", "=", _flag_number),
    "dnsActive": _Field("dns_active", "=", _flag_number),
}
# Needs enrichment that this instance does not have: accepted, and nothing matches (assumed).
_UNKNOWN_HERE: Final = frozenset(
    ("city", "countryCode", "countryName", "organization", "state", "timezone", "asn"),
)
_TERM: Final = re.compile(r"(?P<name>[A-Za-z.]+)(?P<operator>[=<>^!])(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """A piece of SQL and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


def _summary_condition(operator: str, value: str) -> Condition:
    if operator == "=":
        # By any value: a File by any of its hashes, others in their comparison form.
        return Condition(
            "(key = ? OR lower(key) = ? OR (type = 'File' AND ? IN (value1, value2, value3)))",
            (value, value.lower(), value.upper()),
        )
    pattern = re.sub(r"([%_\\])", r"\\\1", value) + "%"
    return Condition("coalesce(value1, value2, value3) LIKE ? ESCAPE '\\'", (pattern,))


def _term(text: str) -> Condition:
    found = _TERM.fullmatch(text.strip())
    if found is None:
        raise RefusalError(400, f"The filter {text!r} is not valid")
    # tcex sends dotted prefixes such as host.dnsActive (api §1.6).
    name = found["name"].rpartition(".")[2]
    operator = found["operator"]
    if name in _UNKNOWN_HERE and operator == "=":
        return Condition("0")
    field = _FIELDS.get(name)
    if field is None or operator not in field.operators:
        raise RefusalError(400, f"The filter {text!r} is not valid")
    # A pre-built query may hold a second '=' after the operator: values never start with one (api §1.6).
    raw = found["value"].removeprefix("=")
    try:
        value = field.convert(raw)
    except ValueError as error:
        raise RefusalError(400, f"The filter {text!r} is not valid") from error
    if field.column == _SUMMARY:
        return _summary_condition(operator, value)
    return Condition(f"{field.column} {operator} ?", (value,))


def conditions(query: QueryParams) -> Condition:
    """The WHERE clause for *query*: its filters, by default only active indicators, and ``modifiedSince``."""
    terms = [_term(part) for text in query.getlist("filters") for part in text.split(",") if part.strip()]
    connector = " OR " if flag(query.get("orParams", "")) else " AND "
    clauses = [Condition(f"({connector.join(term.sql for term in terms)})")] if terms else []
    parameters = [parameter for term in terms for parameter in term.parameters]
    if not any(term.sql.startswith("active ") for term in terms):
        clauses.append(Condition("active = 1"))
    since = query.get("modifiedSince")
    if since is not None:
        clauses.append(Condition("last_modified >= ?"))
        parameters.append(moment(since))
    return Condition(" AND ".join(clause.sql for clause in clauses), tuple(parameters))


@dataclass(frozen=True, slots=True)
class Page:
    """Which slice of a list is asked for."""

    start: int
    limit: int


def page(query: QueryParams) -> Page:
    """Read resultStart and resultLimit; never cap silently (api §9 G-3)."""
    try:
        start, limit = int(query.get("resultStart", "0")), int(query.get("resultLimit", "100"))
    except ValueError:
        start, limit = -1, -1
    if start < 0 or not 1 <= limit <= PAGE_LIMIT:
        raise RefusalError(
            400,
            "The resultStart and resultLimit query parameters must be integers and the maximum value for resultLimit "
            f"is {PAGE_LIMIT}",
        )
    return Page(start, limit)


def includes(query: QueryParams) -> frozenset[str]:
    """Which extra fields are asked for (api §1.6)."""
    asked = {name for text in query.getlist("includes") for name in text.split(",")}
    for parameter, name in (
        ("includeAdditional", "additional"),
        ("includeTags", "tags"),
        ("includeAttributes", "attributes"),
    ):
        if flag(query.get(parameter, "")):
            asked.add(name)
    return INCLUDES & asked
