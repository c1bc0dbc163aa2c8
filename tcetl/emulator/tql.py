"""ThreatConnect Query Language over indicators, translated to SQL (api §6.5)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tcetl.emulator.answers import RefusalError
from tcetl.emulator.clock import iso
from tcetl.emulator.filters import Condition
from tcetl.emulator.tenants import OWNERS


def _text(value: str) -> str:
    return value


def _number(value: str) -> float:
    return float(value)


def _flag(value: str) -> int:
    if value.lower() not in {"true", "false"}:
        raise ValueError(value)
    return int(value.lower() == "true")


def _date(value: str) -> str:
    if value.upper() in {"TODAY()", "TODAY"}:
        return datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    parsed = datetime.fromisoformat(value)
    return iso((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


@dataclass(frozen=True, slots=True)
class Keyword:
    """A TQL keyword: its ``name`` and ``type`` as OPTIONS lists them, the SQL it stands for, how values are read.

    With ``each`` the keyword ranges over a JSON array, and ``sql`` picks the compared part of one element.
    """

    name: str
    type: str
    sql: str
    convert: Callable[[str], Any] = _text
    each: str = ""


_NAME: Final = "json_extract(json_each.value, '$.name')"
_SUMMARY: Final = "substr(" + " || ".join(f"coalesce(' : ' || value{n}, '')" for n in (1, 2, 3)) + ", 4)"
_OWNER_NAME: Final = "CASE owner " + " ".join(f"WHEN {owner.id} THEN '{owner.name}'" for owner in OWNERS) + " END"
_KEYWORDS: Final = (
    Keyword("activeLocked", "Boolean", "active_locked", _flag),
    Keyword("attributeType", "String", "json_extract(json_each.value, '$.type')", _text, "attributes"),
    Keyword("calScore", "Integer", "cal_score", _number),
    Keyword("confidence", "Integer", "confidence", _number),
    Keyword("dateAdded", "Date", "date_added", _date),
    Keyword("description", "String", "description"),
    Keyword("externalDateAdded", "Date", "external_added", _date),
    Keyword("externalDateExpires", "Date", "external_expires", _date),
    Keyword("externalLastModified", "Date", "external_modified", _date),
    Keyword("falsePositiveCount", "Integer", "false_positives", _number),
    Keyword("fileSize", "Integer", "size", _number),
    Keyword("firstSeen", "Date", "first_seen", _date),
    Keyword("hostDnsActive", "Boolean", "dns_active", _flag),
    Keyword("hostWhoisActive", "Boolean", "whois_active", _flag),
    Keyword("id", "Integer", "id", _number),
    Keyword("indicatorActive", "Boolean", "active", _flag),
    Keyword("lastFalsePositive", "Date", "last_false_positive", _date),
    Keyword("lastModified", "Date", "last_modified", _date),
    Keyword("lastObserved", "Date", "last_observed", _date),
    Keyword("lastSeen", "Date", "last_seen", _date),
    Keyword("observationCount", "Integer", "observations", _number),
    Keyword("owner", "Integer", "owner", _number),
    Keyword("ownerName", "String", f"({_OWNER_NAME})"),
    Keyword("rating", "Integer", "rating", _number),
    Keyword("securityLabel", "String", _NAME, _text, "labels"),
    Keyword("summary", "String", _SUMMARY),
    Keyword("tag", "String", _NAME, _text, "tags"),
    Keyword("threatAssessScore", "Integer", "ta_score", _number),
    Keyword("typeName", "String", "type"),
    Keyword("value1", "String", "value1"),
    Keyword("value2", "String", "value2"),
    Keyword("value3", "String", "value3"),
)
KEYWORDS: Final = {keyword.name: keyword for keyword in _KEYWORDS}
_BY_LOWER: Final = {name.lower(): keyword for name, keyword in KEYWORDS.items()}
# What stands inside hasTag(…) and hasSecurityLabel(…) is about the element's own name.
_HAS: Final = {"hastag": "tag", "hassecuritylabel": "securitylabel", "hasattribute": "attributetype"}
_INNER: Final = frozenset(("name", "summary", "typename", "type"))

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)
      | (?P<symbol>!=|>=|<=|[=<>(),])
      | (?P<word>[^\s"'`=<>!(),]+(?:\(\))?)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SYMBOLS: Final = {"eq": "=", "ne": "!=", "gt": ">", "lt": "<", "geq": ">=", "leq": "<="}
_COMPARISONS: Final = frozenset(("=", "!=", ">", "<", ">=", "<="))
_PATTERNS: Final = {"like": "{}", "contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    quoted: bool = False

    @property
    def word(self) -> str:
        """The token as a keyword or symbol; nothing for a quoted string."""
        return "" if self.quoted else self.text.lower()


def _refuse(reason: str) -> RefusalError:
    return RefusalError(400, f"The TQL query is not valid: {reason}")  # wording assumed (api §9.2)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            raise _refuse(f"unexpected {text[position : position + 20]!r}")
        position = found.end()
        if found["string"] is not None:
            tokens.append(_Token(re.sub(r"\\(.)", r"\1", found["string"][1:-1], flags=re.DOTALL), quoted=True))
        else:
            tokens.append(_Token(found["symbol"] or found["word"]))
    return tokens


class _Parser:
    """Recursive descent over the grammar of api §6.5."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._position = 0

    def parse(self) -> Condition:
        condition = self._either()
        if self._position < len(self._tokens):
            raise _refuse(f"unexpected {self._tokens[self._position].text!r}")
        return condition

    def _peek(self) -> str:
        return self._tokens[self._position].word if self._position < len(self._tokens) else ""

    def _next(self) -> _Token:
        if self._position >= len(self._tokens):
            raise _refuse("it ends too early")
        self._position += 1
        return self._tokens[self._position - 1]

    def _take(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self._position += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise _refuse(f"{word!r} expected")

    def _either(self, inside: str | None = None) -> Condition:
        return self._chain("or", lambda: self._chain("and", lambda: self._term(inside)))

    def _chain(self, connector: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._take(connector):
            parts.append(part())
        joined = f" {connector.upper()} ".join(condition.sql for condition in parts)
        return Condition(f"({joined})", tuple(value for condition in parts for value in condition.parameters))

    def _term(self, inside: str | None) -> Condition:
        if self._take("not"):
            negated = self._term(inside)
            return Condition(f"NOT {negated.sql}", negated.parameters)
        if self._take("("):
            condition = self._either(inside)
            self._expect(")")
            return condition
        name = self._next().word.replace("_", "")
        if name in _HAS:
            self._expect("(")
            condition = self._either(_HAS[name])
            self._expect(")")
            return condition
        keyword = _BY_LOWER.get(inside if inside is not None and name in _INNER else name)
        if keyword is None:
            raise _refuse(f"unknown keyword {name!r}")
        return self._comparison(keyword)

    def _comparison(self, keyword: Keyword) -> Condition:
        if self._take("is"):
            negated = self._take("not")
            self._expect("null")
            column = keyword.each or keyword.sql
            return Condition(f"({column} IS {'NOT ' if negated else ''}NULL)")
        negated = self._take("not")
        operator = self._next().word
        operator = _SYMBOLS.get(operator, operator)
        if operator in _COMPARISONS and not negated:
            if operator == "!=" and keyword.each:  # no element is equal
                operator, negated = "=", True
            return self._wrap(keyword, f"{keyword.sql} {operator} ?", (self._value(keyword),), negated=negated)
        if operator == "in":
            self._expect("(")
            values = [self._value(keyword)]
            while self._take(","):
                values.append(self._value(keyword))
            self._expect(")")
            marks = ", ".join("?" * len(values))
            return self._wrap(keyword, f"{keyword.sql} IN ({marks})", tuple(values), negated=negated)
        pattern = _PATTERNS.get(operator)
        if pattern is None:
            raise _refuse(f"unknown operator {operator!r}")
        given = self._next().text
        if operator != "like":
            given = re.sub(r"([%_\\])", r"\\\1", given)
        return self._wrap(keyword, f"{keyword.sql} LIKE ? ESCAPE '\\'", (pattern.format(given),), negated=negated)

    def _value(self, keyword: Keyword) -> Any:
        text = self._next().text
        try:
            return keyword.convert(text)
        except ValueError as error:
            raise _refuse(f"{text!r} is no {keyword.type} for {keyword.name}") from error

    @staticmethod
    def _wrap(keyword: Keyword, sql: str, values: tuple[Any, ...], *, negated: bool) -> Condition:
        if keyword.each:
            sql = f"EXISTS (SELECT 1 FROM json_each(indicator.{keyword.each}) WHERE {sql})"  # noqa: S608 - ours
        return Condition(f"({'NOT ' if negated else ''}{sql})", values)


def translate(text: str) -> Condition:
    """The WHERE clause of a TQL query over the indicator table; 400 with a reason when it is not valid."""
    return _Parser(text).parse()
