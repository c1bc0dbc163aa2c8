"""What a condition says to look for: from a tree of comparisons to the values of indicators.

STIX patterns, OpenIOC definitions and CybOX compositions are all conditions on what may be observed; an indicator here
is a value. The rules that lead from one to the other:

* Alternatives (``OR``) are findings of their own.
* Hashes that must all match (``AND``) are those of one file: one finding with all of them.
* Of a conjunction of unlike things, each value that is an indicator by itself is a finding, whose description shows
  what else must hold: the file's name and size, the port, the other value. Only what is too common alone, a subject
  or a user agent, is none beside a better value.
* What is compared but holds no value that can be told, or none that is an indicator, is refused: as it stands alone, or
  once for a whole conjunction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice, product
from math import prod
from typing import Final, NamedTuple

from tcetl.feeds.standards.finding import Finding, Refusal
from tcetl.indicators import SEPARATOR

HASHES: Final = ("md5", "sha1", "sha256")
"""The types of hashes that identify a file here, in the order of a summary."""

VALUE_NAME: Final = "registry value name"
VALUE_TYPE: Final = "registry value type"
"""Kinds of comparisons that add to a registry key, and are no value without one."""

_MOST_BRANCHES: Final = 10_000
"""Alternatives a condition may multiply into."""

_LONGEST_SHOWN: Final = 500
"""Characters of a condition that a description shows, and how many conditions at most."""

_MOST_SHOWN: Final = 10

_WEAK: Final = frozenset({"Email Subject", "User Agent"})
_PARTS: Final = (VALUE_NAME, VALUE_TYPE)


class TooLargeError(Exception):
    """The condition is larger or deeper than anything that is published, and would take too long."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``what`` (a property, as the standard names it) compared with ``value``; ``text`` is all of it as written.

    ``kind`` is the type of indicator that the property's value is (an API name or a word that says more, empty where
    the value's shape decides), one of the two additions to a registry key, or None. ``operator`` is ``=`` wherever
    exactly one value, or one block of addresses, fits; otherwise as written. What is said in one ``observation`` may be
    about one and the same object. ``line`` and ``pointer`` are where it stands, if it has a place of its own.
    """

    what: str
    kind: str | None
    operator: str
    value: str
    text: str
    negated: bool = False
    observation: int = 1
    line: int = 0
    pointer: str = ""

    @property
    def has_value(self) -> bool:
        """Whether it names one value that is an indicator."""
        return self.kind not in (None, *_PARTS) and self.operator == "=" and not self.negated


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes joined by ``AND``, ``OR``, or what else joins them; ``text`` is all of it as written."""

    operator: str
    children: tuple["Node", ...]
    text: str


Node = Comparison | Group


class _Value(NamedTuple):
    """A comparison with a value, and what else must hold as written."""

    written: Comparison
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Branch:
    """One way for a condition to hold: the values it needs, what else must hold, and the conjunction as written."""

    values: tuple[_Value, ...] = ()
    others: tuple[Node, ...] = ()
    conjunction: str = ""


Found = tuple[Finding | Refusal, Sequence[Comparison]]
"""A finding or refusal, and the comparisons it was made of."""


def findings(node: Node) -> Iterator[Found]:
    """Yield what *node* says to look for, and a refusal for each condition that is without any value.

    Raises:
        TooLargeError: it multiplies into too many alternatives, or is nested too deep.
    """
    try:
        branches = _branches(node)
    except RecursionError:
        raise TooLargeError("it is nested too deep") from None
    seen: set[tuple[int, ...]] = set()  # a value that stands in several branches is written once
    for branch in branches:
        for item, written in _values(branch) if branch.values else [_refused(branch)]:
            key = tuple(map(id, written))
            if key and key not in seen:  # a group of nothing says nothing
                seen.add(key)
                yield item, written


def _branches(node: Node) -> list[_Branch]:
    """Return the ways for *node* to hold; conjunctions are multiplied out only as far as values are in them."""
    if isinstance(node, Comparison):
        return [_Branch(values=(_Value(node),)) if node.has_value else _Branch(others=(node,))]
    children = [_branches(child) for child in node.children]
    if node.operator == "OR":
        return list(chain.from_iterable(children))
    ways = [
        branches if any(branch.values for branch in branches) else [_Branch(others=(child,))]
        for child, branches in zip(node.children, children, strict=True)
    ]
    if not any(branch.values for way in ways for branch in way):
        return [_Branch(others=(node,))]
    if (most := prod(map(len, ways))) > _MOST_BRANCHES:
        raise TooLargeError(f"it multiplies into {most} alternatives, more than {_MOST_BRANCHES}")
    texts = [f"({one.text})" if isinstance(one, Group) and one.operator == "OR" else one.text for one in node.children]
    return [
        _Branch(
            tuple(
                _Value(value.written, (*value.beside, *_others(texts, at)))
                for at, branch in enumerate(way)
                for value in branch.values
            ),
            tuple(other for branch in way for other in branch.others),
            node.text,
        )
        for way in product(*ways)
    ]


def _others(texts: Sequence[str], at: int) -> Iterator[str]:
    """Yield the first of *texts* but for the one *at* its own place."""
    return islice((text[:_LONGEST_SHOWN] for place, text in enumerate(texts) if place != at), _MOST_SHOWN)


def _values(branch: _Branch) -> Iterator[Found]:
    """Yield the findings of one branch."""
    strong = any(value.written.kind not in _WEAK for value in branch.values)
    hashes: list[_Value] = []
    for value in branch.values:
        one = value.written
        if one.kind in HASHES:
            hashes.append(value)
        elif not (strong and one.kind in _WEAK):
            yield Finding(_registry_key(one, branch.others), _kind(one), _together([value])), (one,)
    hashes.sort(key=lambda value: (value.written.observation, HASHES.index(value.written.kind or "")))
    for _, group in groupby(hashes, key=lambda value: value.written.observation):
        file = list(group)
        if len({value.written.kind for value in file}) == len(file) > 1:
            written = [value.written for value in file]
            yield Finding(SEPARATOR.join(one.value for one in written), "File", _together(file)), written
        else:
            for value in file:
                one = value.written
                yield Finding(one.value, _kind(one), _together([value])), (one,)


def _together(values: Sequence[_Value]) -> str:
    """Return in words what must hold beside *values*."""
    own = {value.written.text for value in values}
    beside = dict.fromkeys(text for value in values for text in value.beside if text not in own)
    return f"Together with: {' AND '.join(beside)}"[:_LONGEST_SHOWN] if beside else ""


def _kind(one: Comparison) -> str:
    """Return its type; an address with a prefix length is a block of them."""
    block = one.kind in ("Address", "") and "/" in one.value and "://" not in one.value
    return "CIDR" if block else one.kind or ""


def _registry_key(one: Comparison, others: Sequence[Node]) -> str:
    """Return the value of *one*; with that of a registry key the name and type that *others* say of its value."""
    said = {
        other.kind: other.value
        for other in others
        if isinstance(other, Comparison)
        and other.kind in _PARTS
        and (other.operator, other.negated, other.observation) == ("=", False, one.observation)
    }
    if one.kind != "Registry Key" or VALUE_NAME not in said:
        return one.value
    return SEPARATOR.join(filter(None, (one.value, said[VALUE_NAME], said.get(VALUE_TYPE))))


def _refused(branch: _Branch) -> Found:
    raw = branch.conjunction or " AND ".join(one.text for one in branch.others)
    compared = list(chain.from_iterable(map(_comparisons, branch.others)))
    valued = [one for one in compared if one.kind not in (None, *_PARTS)]
    named = ", ".join(sorted({one.what for one in valued or compared}))[:300]
    if not valued:
        refusal = Refusal(raw, "unsupported-type", f"{named} is no value of an indicator")
    elif all(one.negated for one in valued):
        refusal = Refusal(raw, "negated-value", f"it says what {named} must not be")
    else:
        reason = f"{valued[0].operator} on {named} fits more than one value"
        refusal = Refusal(raw, "no-single-value", reason, "name each value, or write a signature")
    return refusal, compared


def _comparisons(node: Node) -> Iterator[Comparison]:
    if isinstance(node, Comparison):
        yield node
    else:
        for child in node.children:
            yield from _comparisons(child)
