"""STIX patterns as trees of comparisons: parsed by OASIS's own parser, the plainest ones directly.

Nearly every published pattern compares one property with one text (``[domain-name:value = 'a.example']``) or is a flat
chain of such; those are read by a regular expression, a hundred times faster than by the parser. Tests hold both ways
against each other.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tcetl.feeds.standards import condition
from tcetl.feeds.standards.condition import Comparison, Group, Node, TooLargeError
from tcetl.feeds.standards.finding import Finding, Refusal
from tcetl.feeds.standards.stix_paths import meaning

LONGEST: Final = 256 << 10
"""Characters of a pattern beyond which it is not parsed: the parser takes seconds for as many."""

_TEXT: Final = r"'[^'\\]*(?:\\['\\][^'\\]*)*'"
_PLAIN_COMPARISON: Final = (
    r"(?!true\b|false\b)([a-z][a-z0-9]*(?:-[a-z0-9]+)*):(?!true\b|false\b)([a-z_]+(?:\.(?:MD5|value|'[A-Za-z0-9-]+'))?)"
    rf"\s*=\s*({_TEXT})"
)
_PLAIN: Final = re.compile(rf"\s*\[\s*({_PLAIN_COMPARISON}(?:\s*(?:OR|AND)\s+{_PLAIN_COMPARISON})*)\s*\]\s*", re.ASCII)
_LINK: Final = re.compile(rf"(?:(OR|AND)\s+)?({_PLAIN_COMPARISON})\s*", re.ASCII)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class PatternError(Exception):
    """The pattern is none; the message says where."""


def findings(pattern: str) -> Iterator[Finding | Refusal]:
    """Yield what *pattern* says to look for, by the rules of `tcetl.feeds.standards.condition`."""
    try:
        yield from (item for item, _ in condition.findings(parse(pattern)))
    except TooLargeError as error:
        yield Refusal(pattern, "pattern-too-large", str(error), "split it into several indicators", "error")
    except PatternError as error:
        yield Refusal(pattern, "bad-pattern", f"this is no STIX pattern: {error}", severity="error")


def parse(pattern: str) -> Node:
    """Return the tree of *pattern*.

    Raises:
        PatternError: it is not well-formed.
        TooLargeError: it is too long or nested too deep.
    """
    return parse_plain(pattern) or parse_fully(pattern)


def parse_plain(pattern: str) -> Node | None:
    """Return the tree of a pattern that is one comparison, or a flat chain of them with one operator; else None."""
    chain = _PLAIN.fullmatch(pattern)
    if not chain:
        return None
    links = list(_LINK.finditer(chain[1]))
    operators = {link[1] for link in links[1:]}
    if len(operators) > 1:
        return None
    children = tuple(_compared(link[3], link[4].replace("'", ""), "=", _text(link[5]), link[2]) for link in links)
    return Group(operators.pop(), children, chain[1]) if operators else children[0]


def parse_fully(pattern: str) -> Node:
    """Return the tree of any pattern, by the parser of the standard's own makers; raises as `parse`."""
    if len(pattern) > LONGEST:
        raise TooLargeError(f"the pattern has {len(pattern)} characters, more than {LONGEST}")
    from stix2patterns.exceptions import ParseException  # noqa: PLC0415 - few patterns need it, and it takes a while
    from stix2patterns.v21.pattern import Pattern  # noqa: PLC0415

    try:
        node: Node = Pattern(pattern).visit(_Reader())  # the patterns of STIX 2.0 are patterns of 2.1
    except ParseException as error:
        raise PatternError(str(error)) from None
    except RecursionError:
        raise TooLargeError("the pattern is nested too deep") from None
    return node


class _Reader:
    """Reads the parser's tree, in which a chain is nested as deep as it is long: so chains are walked in a loop."""

    def __init__(self) -> None:
        self._observation = 0

    def visit(self, tree: Any) -> Node:
        kind = type(tree).__name__.removesuffix("Context")
        children = list(tree.getChildren())
        self._observation += kind == "ObservationExpressionSimple"
        if kind in ("ObservationExpressionCompound", "ObservationExpressionSimple", "PropTestParen"):
            return self.visit(children[1])
        if kind.startswith("PropTest"):
            return self._comparison(tree, children)
        if kind in ("ObservationExpressionWithin", "ObservationExpressionStartStop", "ObservationExpressionRepeated"):
            return Group("AND", (self.visit(children[0]),), _written(tree))
        if len(children) == 1 or kind == "Pattern":
            return self.visit(children[0])
        return self._chain(tree, children)

    def _chain(self, tree: Any, children: list[Any]) -> Node:
        """The members of ``a OR b OR c``, which the parser nests as ``((a OR b) OR c)``."""
        operator, text, kind = children[1].getText(), _written(tree), type(tree)
        members: list[Any] = []
        while isinstance(tree, kind) and tree.getChildCount() == 3:
            tree, _, right = tree.getChildren()
            members.append(right)
        return Group(operator, tuple(self.visit(member) for member in (tree, *reversed(members))), text)

    def _comparison(self, tree: Any, children: list[Any]) -> Node:
        text, here = _written(tree), self._observation
        if type(tree).__name__ == "PropTestExistsContext":
            return _compared(*_object_path(children[1]), "EXISTS", "", text, observation=here)
        path = _object_path(children[0])
        negated = children[1].getText() == "NOT"
        operator, operand = children[-2].getText(), children[-1]
        if operator == "IN" and not negated:
            literals = [member.getText() for member in operand.getChildren() if member.getText() not in "(,)"]
            named = _written(children[0])
            members = [_compared(*path, "=", _text(one), f"{named} = {one}", observation=here) for one in literals]
            return Group("OR", tuple(members), text)
        if operator == "!=":
            operator, negated = "=", not negated
        return _compared(*path, operator, _text(operand.getText()), text, negated=negated, observation=here)


def _compared(
    object_type: str,
    path: str,
    operator: str,
    value: str,
    text: str,
    *,
    negated: bool = False,
    observation: int = 1,
) -> Comparison:
    if operator == "ISSUBSET" or (operator == "LIKE" and not set("%_") & set(value)):
        operator = "="  # one block of addresses, or one text without wildcards
    kind = meaning(object_type, path)
    return Comparison(f"{object_type}:{path}", kind, operator, value, text, negated, observation)


def _object_path(tree: Any) -> tuple[str, str]:
    """Return the object type, and the path's keys joined by dots."""
    object_type, _, *steps = list(tree.getChildren())
    keys: Iterator[str] = (leaf.getText() for step in steps for leaf in _leaves(step))
    # What is left of ``values[*].name`` without brackets, dots and what stands in the brackets.
    return object_type.getText(), ".".join(_text(key) for key in keys if key not in "[].*" and not key.isdigit())


def _leaves(tree: Any) -> Iterator[Any]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if node.getChildCount():
            stack.extend(reversed(list(node.getChildren())))
        else:
            yield node


def _text(literal: str) -> str:
    """Return a literal's value: a text without quotes and escapes, anything else as written."""
    return _ESCAPED.sub(r"\1", literal[1:-1]) if literal.startswith("'") else literal


def _written(tree: Any) -> str:
    return str(tree.start.getInputStream().getText(tree.start.start, tree.stop.stop))
