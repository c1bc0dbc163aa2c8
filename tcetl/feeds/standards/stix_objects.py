"""STIX 2 objects as findings: indicators by their patterns, cyber-observable objects by what they are.

Source: STIX 2.1 (OASIS standard), chapters 3, 4.7 (indicator), 6 (cyber-observable objects) and 7.2 (markings); of
2.0 the observed-data object, which holds its observables itself.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tcetl.feeds.standards import signatures
from tcetl.feeds.standards.condition import HASHES
from tcetl.feeds.standards.finding import Finding, Refusal, describe, moment, tag_cell
from tcetl.feeds.standards.grouping import is_group
from tcetl.feeds.standards.stix_paths import meaning
from tcetl.feeds.standards.stix_pattern import findings
from tcetl.feeds.tlp import level_of, strictest
from tcetl.indicators import SEPARATOR

Object = Mapping[str, Any]
"""One STIX object, as parsed from JSON: of any shape, since anybody can publish one."""

_OBSERVABLES: Final = frozenset(
    ("artifact", "autonomous-system", "directory", "domain-name", "email-addr", "email-message", "file", "hostname",
     "ipv4-addr", "ipv6-addr", "mac-addr", "mutex", "network-traffic", "process", "software", "url", "user-account",
     "user-agent", "windows-registry-key", "x-opencti-hostname", "x-opencti-user-agent", "x509-certificate")
)  # fmt: skip
_VALUE_KEYS: Final = ("value", "key", "name", "number", "subject")
_TLP_MARKINGS: Final = {  # the marking definitions that the standard fixes, TLP 1.0 and 2.0
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "CLEAR",
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "GREEN",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "AMBER",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "RED",
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "CLEAR",
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "GREEN",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "AMBER",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "AMBER+STRICT",
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "RED",
}
_MOST_NAMES: Final = 5
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class StixOptions:
    """What of a STIX feed is taken.

    ``expired`` takes indicators whose ``valid_until`` is past; ``observables`` takes plain cyber-observable objects,
    of which the standard says that somebody saw them, not that they are malicious.
    """

    expired: bool = False
    observables: bool = True


@dataclass(slots=True)
class StixReader:
    """Reads the objects of one feed: `learn` from all of them first, then take the `findings` of each.

    What an object refers to (its author, its markings) may stand after it, and so may its own newer version.
    """

    options: StixOptions = StixOptions()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    others: Counter[str] = field(default_factory=Counter)
    """Objects that are neither indicators nor observables, by type."""
    _named: dict[str, list[str]] = field(default_factory=dict)
    _authors: dict[str, str] = field(default_factory=dict)
    _tlp: dict[str, str] = field(default_factory=lambda: dict(_TLP_MARKINGS))
    _seen: set[int] = field(default_factory=set)
    _repeated: dict[str, str] = field(default_factory=dict)

    def learn(self, one: Object) -> None:
        """Remember what other objects refer to, and count what is no value."""
        kind, ident = _text(one, "type"), _text(one, "id")
        if kind == "indicator":
            if (known := hash(ident)) in self._seen:
                self._repeated[ident] = ""
            self._seen.add(known)
        elif kind not in _OBSERVABLES:
            self.others[kind or "untyped"] += 1
            name = _text(one, "name")
            if name and len(names := self._named.setdefault(kind, [])) < _MOST_NAMES:
                names.append(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…")
        if kind == "identity":
            self._authors[ident] = _text(one, "name")
        elif kind == "marking-definition" and (tlp := _marked(one)):
            self._tlp[ident] = tlp

    @property
    def has_versions(self) -> bool:
        """Whether an indicator was learnt twice: then `learn_version` must see all objects, to tell the newest."""
        return bool(self._repeated)

    def learn_version(self, one: Object) -> None:
        """Remember the newest version of each indicator that stands there more than once."""
        if (ident := _text(one, "id")) in self._repeated:
            self._repeated[ident] = max(self._repeated[ident], moment(one.get("modified")))

    def findings(self, one: Object) -> Iterator[tuple[Finding | Refusal, str]]:
        """Yield what *one* says, each with a pointer: the object's id, and where in it if it holds several."""
        kind, ident = _text(one, "type"), _text(one, "id")
        if kind == "indicator":
            yield from ((item, ident) for item in self._indicator(one))
        elif kind in _OBSERVABLES:
            yield from ((item, ident) for item in self._observable(one, self.said(one)))
        elif kind == "observed-data" and isinstance(held := one.get("objects"), Mapping):
            said = self.said(one)
            for key, observable in held.items():
                if isinstance(observable, Mapping):
                    yield from ((item, f"{ident}/objects/{key}") for item in self._observable(observable, said))

    def notes(self) -> Sequence[str]:
        """Return one sentence on the objects that are no values, with the first names of each type."""
        if not self.others:
            return []
        kinds = [
            f"{count} {kind}" + (f" ({', '.join(names)}{', …' if count > len(names) else ''})" if names else "")
            for kind, count in sorted(self.others.items())
            for names in [self._named.get(kind, [])]
        ]
        return [f"objects that are no indicators were not loaded: {'; '.join(kinds)}"]

    def _indicator(self, one: Object) -> Iterator[Finding | Refusal]:
        pattern, kind = _text(one, "pattern"), pattern_type(one)
        if refusal := self.refused(one):
            yield refusal
        elif signatures.file_type(kind):
            yield is_group(pattern, f"a pattern of type {kind}", "Signature")
        elif kind != "stix":
            yield Refusal(pattern, "unsupported-type", f"a pattern of type {kind} is no value of an indicator")
        else:
            said = self.said(one)
            name = _text(one, "name")
            for item in findings(pattern):
                if isinstance(item, Finding):
                    about = describe(name if name != item.value else "", _text(one, "description"), item.description)
                    yield item._replace(description=about, **said)
                else:
                    yield item

    def refused(self, indicator: Object) -> Refusal | None:
        """Return why an indicator is not to be loaded by what STIX itself says, if it says so."""
        pattern, ident = _text(indicator, "pattern"), _text(indicator, "id")
        until = moment(indicator.get("valid_until"))
        newest = self._repeated.get(ident)
        if not pattern.strip():
            return Refusal(str(dict(indicator))[:500], "bad-object", "the indicator has no pattern", severity="error")
        if newest and moment(indicator.get("modified")) < newest:
            return Refusal(pattern, "superseded", f"the feed holds a newer version of {ident}, of {newest}")
        if indicator.get("revoked") is True:
            return Refusal(pattern, "revoked", "its author has revoked the indicator")
        if until and not self.options.expired and until < self.now.strftime("%Y-%m-%dT%H:%M:%SZ"):
            return Refusal(
                pattern, "expired", f"the indicator was valid until {until}", "--option expired=true takes it"
            )
        return None

    def _observable(self, one: Object, said: dict[str, str]) -> Iterator[Finding | Refusal]:
        kind = _text(one, "type")
        raw = next((str(one[key]) for key in _VALUE_KEYS if key in one), kind)
        if not self.options.observables:
            yield Refusal(raw, "observable-only", f"the {kind} was observed; nothing says that it is malicious",
                          "--option observables=true takes it")  # fmt: skip
            return
        hashes = one.get("hashes")
        found = {
            word: str(value)
            for name, value in (hashes.items() if isinstance(hashes, Mapping) else ())
            if (word := meaning(kind, f"hashes.{name}"))
        }
        if found:
            value = SEPARATOR.join(found[word] for word in HASHES if word in found)
            about = f"File name: {_text(one, 'name')}" if _text(one, "name") else ""
            yield Finding(value, next(iter(found)) if len(found) == 1 else "File", about, **said)
            return
        for key in _VALUE_KEYS:
            word = meaning(kind, key)
            if word is not None and key in one:
                value = _registry_value(one) if kind == "windows-registry-key" else str(one[key])
                block = word == "Address" and "/" in value
                yield Finding(value, "CIDR" if block else word, _text(one, "display_name"), **said)
                return
        yield Refusal(raw, "unsupported-type", f"a {kind} without a value that is an indicator")

    def said(self, one: Object) -> dict[str, str]:
        """Return what any object says of its values, by the fields of `Finding`."""
        confidence = one.get("confidence")
        phases = [
            f"{_text(phase, 'kill_chain_name')}:{_text(phase, 'phase_name')}"
            for phase in _list(one, "kill_chain_phases")
            if isinstance(phase, Mapping)
        ]
        author = self._authors.get(_text(one, "created_by_ref"), "")
        references = [_text(ref, "url") for ref in _list(one, "external_references") if isinstance(ref, Mapping)]
        labels = [label for key in ("labels", "indicator_types") for label in _list(one, key) if isinstance(label, str)]
        tlp = [self._tlp[ref] for ref in _list(one, "object_marking_refs") if isinstance(ref, str) and ref in self._tlp]
        return {
            "source": author or next(filter(None, references), ""),
            "tags": tag_cell([*labels, *phases]),
            "first_seen": moment(one.get("first_observed") or one.get("valid_from")),
            "last_seen": moment(one.get("last_observed")),
            "confidence": str(confidence) if isinstance(confidence, int | float) else "",
            "tlp": strictest(tlp),
        }


def pattern_type(indicator: Object) -> str:
    """Return the language of an indicator's pattern, which STIX 2.0 has no choice of."""
    return _text(indicator, "pattern_type") or "stix"


def _marked(definition: Object) -> str:
    """Return the TLP level of a marking definition, which each version of the standard says in another way."""
    inner = definition.get("definition")
    said = _text(inner, "tlp") if isinstance(inner, Mapping) else ""
    return level_of(f"tlp:{said}") or level_of(_text(definition, "name"))


def _registry_value(one: Object) -> str:
    """Return the key with the name and type of its value, where it has exactly one."""
    values = [value for value in _list(one, "values") if isinstance(value, Mapping)]
    name = _text(values[0], "name") if len(values) == 1 else ""
    return SEPARATOR.join(filter(None, (_text(one, "key"), name, name and _text(values[0], "data_type"))))


def _text(one: Object, key: str) -> str:
    value = one.get(key)
    return value if isinstance(value, str) else ""


def _list(one: Object, key: str) -> Sequence[Any]:
    value = one.get(key)
    return value if isinstance(value, list) else ()
