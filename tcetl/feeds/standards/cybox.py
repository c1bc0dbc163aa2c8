"""CybOX objects, as STIX 1 documents hold them, as conditions.

Source: CybOX 2.1 (cybox.mitre.org), its objects and `condition` attributes. A property without a condition says what
was seen; one with a condition is part of a pattern, of which all parts must hold.
"""

import re
from typing import Final

from tcetl.feeds.standards.condition import HASHES, VALUE_NAME, VALUE_TYPE, Comparison, Group, Node
from tcetl.feeds.xmlstream import Element, child, local, text

_XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_OBJECT: Final = re.compile(r"\{http://cybox\.mitre\.org/(?:objects#(\w+?)Object-|common-)")
_LEAVES: Final[dict[tuple[str, str], str]] = {  # object and element, and the type of the value there
    ("DomainName", "Value"): "Host",
    ("Hostname", "Hostname_Value"): "Host",
    ("Mutex", "Name"): "Mutex",
    ("EmailMessage", "Subject"): "Email Subject",
    ("AS", "Number"): "ASN",
    ("HTTPSession", "User_Agent"): "User Agent",
    ("WinRegistryKey", "Key"): "Registry Key",
    ("WinRegistryKey", "Name"): VALUE_NAME,
    ("WinRegistryKey", "Datatype"): VALUE_TYPE,
}
_ADDRESSES: Final = {"e-mail": "EmailAddress", "ipv4-addr": "Address", "ipv6-addr": "Address", "cidr": "CIDR",
                     "ipv4-net": "CIDR", "ipv6-net": "CIDR", "asn": "ASN"}  # fmt: skip
_RECIPIENTS: Final = frozenset({"To", "CC", "BCC"})  # those whom a message reached are its victims
_CONTEXT: Final = frozenset({"File_Name", "File_Path", "Size_In_Bytes", "Port_Value"})
_LONGEST_TEXT: Final = 200


def condition(properties: Element, pointer: str, *, negated: bool = False) -> Node:
    """Return what the ``Properties`` of one object say; *pointer* is the object's id, and *negated* that it must not.

    Of a pattern (any property has a condition) everything must hold. Of what was seen, each value stands for itself,
    with the file's name and size or the port as its context.
    """
    leaves = [one for one in properties.iter() if isinstance(one.tag, str) and not len(one) and text(one)]
    parts = [(one, *_compared(one, properties, pointer, negated=negated)) for one in leaves if local(one) != "Type"]
    if any(one.get("condition") for one in leaves):
        return _all_of([node for _, node, _ in parts])
    context = [node for one, node, kind in parts if local(one) in _CONTEXT or kind in (VALUE_NAME, VALUE_TYPE)]
    files = [node for _, node, kind in parts if kind in HASHES]
    others = [node for _, node, kind in parts if kind not in (None, VALUE_NAME, VALUE_TYPE, *HASHES)]
    seen = [*([_all_of([*files, *context])] if files else []), *(_all_of([node, *context]) for node in others)]
    if seen:
        return Group("OR", tuple(seen), " OR ".join(one.text for one in seen))
    name = (properties.get(_XSI_TYPE) or "an object without a type").rpartition(":")[2].removesuffix("ObjectType")
    said = parts[0][1].text if parts else name
    return Comparison(name, None, "=", "", said, negated, line=properties.sourceline or 0, pointer=pointer)


def _all_of(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Group("AND", tuple(nodes), " AND ".join(one.text for one in nodes))


def _compared(leaf: Element, properties: Element, pointer: str, *, negated: bool) -> tuple[Node, str | None]:
    """Return the comparison of one property, or those of the values it lists, and the kind of value that it is."""
    kind, said = _kind(leaf, properties), text(leaf)
    how, which = leaf.get("condition") or "Equals", leaf.get("apply_condition") or "ANY"
    values = said.split(leaf.get("delimiter") or "##comma##") if leaf.get("condition") else [said]
    if how == "DoesNotEqual" or (how == "Equals" and which == "NONE"):
        how, negated = "Equals", not negated
    hive = text(child(properties, "Hive")) if kind == "Registry Key" else ""
    comparisons = [
        Comparison(
            local(leaf),
            kind,
            "=" if how == "Equals" and (which != "ALL" or len(values) == 1) else how,
            f"{hive}\\{value.strip()}" if hive else value.strip(),
            f"{'NOT ' if negated else ''}{local(leaf)} {leaf.get('condition', 'is')} '{value.strip()[:_LONGEST_TEXT]}'",
            negated,
            properties.sourceline or 0,
            properties.sourceline or 0,
            pointer,
        )
        for value in values
    ]
    if len(comparisons) == 1:
        return comparisons[0], kind
    return Group("OR", tuple(comparisons), " OR ".join(one.text for one in comparisons)), kind


def _kind(leaf: Element, properties: Element) -> str | None:
    """Return the kind of value in *leaf*: see `Comparison.kind`."""
    namespace = _OBJECT.match(leaf.tag)
    name, parent = local(leaf), leaf.getparent()
    if namespace is None:
        return None
    if name == "Simple_Hash_Value":
        of_file = parent.getparent() is not None and parent.getparent().getparent() is properties
        algorithm = text(child(parent, "Type")).lower().replace("-", "")
        return algorithm if of_file and algorithm in HASHES else None
    if name == "Address_Value":
        reached = any(local(one) in _RECIPIENTS for one in leaf.iterancestors())
        return None if reached else _ADDRESSES.get(parent.get("category") or "ipv4-addr")
    if (namespace[1], name) == ("URI", "Value"):
        return {"Domain Name": "Host", "General URN": None}.get(parent.get("type"), "URL")
    return _LEAVES.get((namespace[1] or "", name))
