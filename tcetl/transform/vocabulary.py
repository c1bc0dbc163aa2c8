"""What feeds call things: column names and type words, and what they mean here."""

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from tcetl.indicators import SEPARATOR

# Column names of a value whose type is said elsewhere in the row, or shows in the value itself; best first.
VALUE_NAMES: Final = (
    "ioc", "ioc_value", "indicator", "indicator_value", "observable", "value", "artifact",
)  # fmt: skip

# Column names that say the type as well. Where a table has several, the first one here is the row's indicator.
TYPED_NAMES: Final[dict[str, str]] = {
    **dict.fromkeys(("url", "urls", "uri", "phish_url", "malicious_url"), "URL"),
    **dict.fromkeys(("sha256", "sha256_hash", "sha1", "sha1_hash", "md5", "md5_hash", "hash", "file_hash"), "File"),
    **dict.fromkeys(("domain", "domains", "host", "hostname", "host_name", "fqdn", "domain_name"), "Host"),
    **dict.fromkeys(
        ("ip", "ips", "dst_ip", "src_ip", "ip_address", "ipaddress", "ipv4", "ipv6", "address", "c2_ip"), "Address"
    ),
    **dict.fromkeys(("cidr", "network", "netblock", "ip_range", "prefix"), "CIDR"),
    **dict.fromkeys(("asn", "as_number"), "ASN"),
    **dict.fromkeys(("email", "email_address", "sender", "mail"), "EmailAddress"),
    **dict.fromkeys(("mutex", "mutex_name"), "Mutex"),
    **dict.fromkeys(("registry_key", "regkey"), "Registry Key"),
    **dict.fromkeys(("user_agent", "useragent"), "User Agent"),
    **dict.fromkeys(("email_subject", "subject"), "Email Subject"),
    **dict.fromkeys(("hashtag",), "Hashtag"),
}
TYPE_NAMES: Final = ("type", "ioc_type", "indicator_type", "observable_type", "value_type")
HASH_NAMES: Final[dict[str, str]] = {
    "md5": "md5", "md5_hash": "md5", "sha1": "sha1", "sha1_hash": "sha1", "sha256": "sha256", "sha256_hash": "sha256",
}  # fmt: skip
# Column names of further indicators of a row, in `plain_name`: where its file calls, what it loads.
FURTHER_NAME: Final = re.compile(
    r"(?:\w+_)?(?:c2|cnc|c_c|c_and_c)s?(?:_?(?:servers?|hosts?|hostnames?|domains?|ips?|addresse?s?|urls?|uris?))?"
    r"|(?:\w+_)?(?:payload|template)_(?:host|hostname|domain|ip|url|uri|hash|sha256)"
)
LISTED: Final = re.compile(r"[,;\s]+")
"""What stands between the values of a cell of several."""
DESCRIPTION_NAMES: Final = ("description", "comment", "comments", "note", "notes", "desc")
SOURCE_NAMES: Final = (
    "urlhaus_link",
    "reference",
    "references",
    "source",
    "phish_detail_url",
    "link",
    "tweet",
    "report",
)
TAG_NAMES: Final = ("tags", "tag", "labels")
TLP_NAMES: Final = ("tlp", "tlp_level", "tlp_marking")
FIRST_SEEN_NAMES: Final = (
    "first_seen_utc", "first_seen", "firstseen", "dateadded", "date_added", "submission_time", "listing_date",
    "listingdate",
)  # fmt: skip
LAST_SEEN_NAMES: Final = ("last_seen_utc", "last_seen", "lastseen", "last_online")
CONFIDENCE_NAMES: Final = ("confidence", "confidence_level")
RATING_NAMES: Final = ("rating",)
# Columns worth a line in the description of what a row says about its indicator.
DETAIL_NAMES: Final = (
    "threat", "threat_type", "malware", "malware_printable", "malware_family", "malwarefamily", "category", "signature",
    "listing_reason", "listingreason", "domain_use", "url_status", "c2_status", "status", "port", "dst_port",
    "file_name", "filename", "file_type", "target", "reporter",
)  # fmt: skip

# What feeds write in a type column, and the type it declares.
TYPE_WORDS: Final[dict[str, str]] = {
    **dict.fromkeys(("ip", "ips", "ipv4", "ipv6", "ip_address", "ip_port", "ip_src", "ip_dst", "ipv4_addr", "ipv6_addr",
                     "ipaddress", "ip_dst_port", "ip_src_port", "address"), "Address"),
    **dict.fromkeys(("domain", "domains", "domain_name", "host", "hostname", "fqdn"), "Host"),
    **dict.fromkeys(("url", "uri", "link"), "URL"),
    **dict.fromkeys(("md5", "sha1", "sha256", "sha_1", "sha_256", "md5_hash", "sha1_hash", "sha256_hash", "hash",
                     "file", "filehash_md5", "filehash_sha1", "filehash_sha256", "file_hash"), "File"),
    **dict.fromkeys(("email", "email_address", "emailaddress", "email_src", "email_addr", "email_dst"), "EmailAddress"),
    **dict.fromkeys(("cidr", "netblock", "ip_range", "network", "subnet"), "CIDR"),
    **dict.fromkeys(("asn", "as", "autonomous_system"), "ASN"),
    **dict.fromkeys(("mutex", "mutex_name"), "Mutex"),
    **dict.fromkeys(("registry_key", "regkey", "registry"), "Registry Key"),
    **dict.fromkeys(("user_agent", "useragent"), "User Agent"),
    **dict.fromkeys(("email_subject", "subject"), "Email Subject"),
    **dict.fromkeys(("hashtag",), "Hashtag"),
}  # fmt: skip

NOTHING: Final = r"(?i)^\s*(?:none|null|n/a|na|nan|-|unknown)?\s*$"
"""What feeds write where they have nothing to say."""

_ASIDE: Final = re.compile(r"\([^)]*\)")
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")


def text_of(column: str) -> pl.Expr:
    """The text of a column, stripped, null where the feed says nothing."""
    text = pl.col(column).str.strip_chars()
    return pl.when(~text.str.contains(NOTHING)).then(text)


def joined(hashes: Sequence[str]) -> pl.Expr:
    """The hashes of one file in the columns *hashes*; the empty text where there is none."""
    return pl.concat_str(map(text_of, hashes), separator=SEPARATOR, ignore_nulls=True)


def plain_name(name: str) -> str:
    """Return a column name or type word for comparison: ``Observable (not an IOC!)`` → ``observable``."""
    return _NOT_WORD.sub("_", _ASIDE.sub("", name.lower())).strip("_")
