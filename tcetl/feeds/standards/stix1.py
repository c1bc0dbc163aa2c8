"""STIX 1 packages as findings: observables, with what the indicators say that hold or name them.

Source: STIX 1.1 and 1.2 (stixproject.github.io): indicators, observables and their compositions, handling.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tcetl.feeds.standards import condition, cybox
from tcetl.feeds.standards.condition import Group, Node, TooLargeError
from tcetl.feeds.standards.finding import Finding, Placed, Refusal, describe, moment, tag_cell
from tcetl.feeds.tlp import level_of, strictest
from tcetl.feeds.xmlstream import Element, child, local, text

PARTS: Final = ("STIX_Header", "Indicator", "Observable", "TTP", "Incident", "Campaign", "Threat_Actor",
                "Exploit_Target", "Course_Of_Action")  # fmt: skip
"""The elements of a package that `Stix1Reader` is given, the outermost ones."""

_CONFIDENCES: Final = {"none": "0", "low": "15", "medium": "50", "high": "85"}  # STIX 2.1, appendix A


class _Said(NamedTuple):
    """What an indicator, or the header of its package, says of observables."""

    title: str = ""
    description: str = ""
    source: str = ""
    tags: tuple[str, ...] = ()
    first_seen: str = ""
    until: str = ""
    confidence: str = ""
    tlp: str = ""
    negated: bool = False


@dataclass(slots=True)
class Stix1Reader:
    """Reads the parts of one package: `learn` from all of them first, then take the `findings` of each.

    An indicator may name an observable that stands elsewhere; what it says is then said of that.
    """

    expired: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    others: Counter[str] = field(default_factory=Counter)
    _header: _Said = field(default_factory=_Said)
    _named: dict[str, _Said] = field(default_factory=dict)

    def learn(self, part: Element) -> None:
        """Remember which observables an indicator names, and count what is no observable."""
        kind = local(part)
        if kind == "Indicator":
            said = self._indicator(part)
            for one in part.iter():
                if local(one) in ("Observable", "Object") and (name := one.get("idref")):
                    self._named[name] = _longer_valid(self._named.get(name, said), said)
        elif kind not in ("STIX_Header", "Observable") and part.get("idref") is None:
            self.others[kind] += 1

    def findings(self, part: Element) -> Iterator[Placed]:
        """Yield what one part says; the pointer is an object's id, the row the line that it begins on."""
        kind = local(part)
        if kind == "STIX_Header":
            self._header = _Said(
                text(child(part, "Title")),
                source=text(child(part, "Information_Source", "Identity", "Name")),
                tlp=_marked(part),
            )
        elif kind == "Indicator":
            said = self._indicator(part)
            for one in _outermost(part, "Observable"):
                yield from self._observable(one, said)
        else:
            for one in _outermost(part, "Observable"):
                yield from self._observable(one, self._header)

    def notes(self) -> Sequence[str]:
        """Return one sentence on what is no observable."""
        kinds = "; ".join(f"{count} {kind}" for kind, count in sorted(self.others.items()))
        return [f"objects that are no indicators were not loaded: {kinds}"] if kinds else []

    def _observable(self, observable: Element, said: _Said) -> Iterator[Placed]:
        line, pointer = observable.sourceline or 0, observable.get("id") or ""
        try:
            found = list(condition.findings(self._node(observable, negated=said.negated)))
        except TooLargeError as error:
            reason = f"the observable is too large: {error}"
            yield Placed(Refusal(pointer, "pattern-too-large", reason, severity="error"), line, pointer)
            return
        for item, written in found:
            of = self._named.get(written[0].pointer) or self._named.get(pointer) or said
            expired = bool(of.until) and not self.expired and of.until < self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
            if isinstance(item, Refusal):
                whole: Finding | Refusal = item
            elif of.negated and not said.negated:
                whole = Refusal(
                    item.value, "negated-value", "the indicator that names it says that it must not be there"
                )
            elif expired:
                whole = Refusal(
                    item.value, "expired", f"the indicator was valid until {of.until}", "--option expired=true takes it"
                )
            else:
                whole = Finding(
                    item.value,
                    item.type,
                    describe(of.title, of.description, text(child(observable, "Title")), item.description),
                    of.source or self._header.source,
                    tag_cell(of.tags),
                    of.first_seen,
                    confidence=of.confidence,
                    tlp=of.tlp or self._header.tlp,
                )
            yield Placed(whole, written[0].line or line, written[0].pointer or pointer)

    def _node(self, observable: Element, *, negated: bool) -> Node:
        negated ^= observable.get("negate") == "true"
        composition = child(observable, "Observable_Composition")
        if composition is not None:
            operator = (composition.get("operator") or "OR").upper()
            members = [
                self._node(one, negated=negated)
                for one in composition
                if local(one) == "Observable" and one.get("idref") is None
            ]
        else:
            operator = "OR"
            members = [
                cybox.condition(one, one.getparent().get("id") or observable.get("id") or "", negated=negated)
                for one in observable.iter()
                if local(one) == "Properties"
            ]
        return Group(operator, tuple(members), f" {operator} ".join(one.text for one in members)[:1000])

    def _indicator(self, part: Element) -> _Said:
        times = [one for one in part if local(one) == "Valid_Time_Position"]
        until = [moment(text(child(one, "End_Time"))) for one in times]
        return _Said(
            text(child(part, "Title")),
            text(child(part, "Description")),
            text(child(part, "Producer", "Identity", "Name")),
            tuple(text(one) for one in part if local(one) == "Type"),
            moment(text(child(part, "Valid_Time_Position", "Start_Time")) or part.get("timestamp")),
            max(until) if until and all(until) else "",
            _CONFIDENCES.get(text(child(part, "Confidence", "Value")).lower(), ""),
            _marked(part),
            part.get("negate") == "true",
        )


def _longer_valid(one: _Said, other: _Said) -> _Said:
    """Return that of two indicators of one observable whose time is over later, if ever."""
    return max(one, other, key=lambda said: (not said.until, said.until))


def _outermost(part: Element, name: str) -> Iterator[Element]:
    """Yield the elements called *name* in *part*, or itself, that are in no other of the name."""
    for one in part.iter():
        if local(one) == name and not any(local(above) == name for above in one.iterancestors()):
            yield one


def _marked(part: Element) -> str:
    """Return the TLP level that a part's own handling marks it with."""
    return strictest(filter(None, (level_of(f"tlp:{one.get('color')}") for one in _handling(part) if one.get("color"))))


def _handling(part: Element) -> Iterator[Element]:
    handling = child(part, "Handling")
    return iter(()) if handling is None else handling.iter()
