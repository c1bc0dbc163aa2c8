"""CEF, the ArcSight Common Event Format: one event a line, escaped and limited by the standard.

Source: CEF Implementation Standard v27. Limits are in characters, before escaping. A value too long for a key is left
out of it where a cut would make it another value (half a URL is another URL); free text is cut; a record whose
indicator does not fit at all is skipped.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import polars as pl
import polars.selectors as cs

from tcetl.siem.format import Encoded
from tcetl.siem.text import cleaned, epoch_ms, finite, joined, tag_names

_DEVICE: Final = "ThreatConnect|Indicator Export|1.0"  # constant: SIEM content is keyed on vendor and product
_CLASS_LIMIT: Final = 1023
_NAME_LIMIT: Final = 512
_TEXT_LIMIT: Final = 1023
_HASH_LIMIT: Final = 255
_CUSTOM_LIMIT: Final = 4000

_IPV4: Final = r"^\d{1,3}(?:\.\d{1,3}){3}$"
_IPV6: Final = r"^[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*$"
_IPV6_KEYS: Final = {"dst": ("c6a3", "Destination IPv6 Address"), "src": ("c6a2", "Source IPv6 Address")}
# "key : value name : value type"; a value name may hold the separator, a type has no colon
_REGISTRY: Final = r"(?s)^(.*?) : (.*?)(?: : [^:]*)?$"


@dataclass(frozen=True)
class _Key:
    """One extension key: where its text comes from (null where there is none), its limit, and its label's text."""

    name: str
    text: pl.Expr
    limit: int | None = None
    label: str = ""
    cut: bool = False

    @property
    def too_long(self) -> pl.Expr:
        return self.text.str.len_chars() > self.limit

    def pair(self, escapes: dict[str, str]) -> pl.Expr:
        text = self.text
        if self.limit is not None and self.cut:
            text = text.str.slice(0, self.limit).str.strip_chars_end()
        elif self.limit is not None:
            text = pl.when(~self.too_long).then(text)
        if self.limit is not None:
            text = text.str.replace_many(escapes)
        prefix = f" {self.name}Label={self.label} {self.name}=" if self.label else f" {self.name}="
        return pl.lit(prefix) + text


@dataclass(frozen=True, kw_only=True)
class Cef:
    """Common Event Format.

    Attributes:
        cef_version: Version in the prefix: 0 for every reader, 1 where 1.x is asked for.
        severity: From the rating alone, or ``weighted`` by the confidence.
        address_as: Whether an Address is the destination (``dst``) or the source (``src``) of the event.
        typed_keys: Write the indicator into the key of its kind (``dst``, ``dhost``, ``request``...) as well. Turn it
            off where the SIEM would match its threat intelligence against these very events.
        ext_pipe: Leave a pipe in a value ``raw``, as the standard says, or ``escape`` it for readers that need that.
    """

    cef_version: Literal[0, 1] = 0
    severity: Literal["rating", "weighted"] = "rating"
    address_as: Literal["dst", "src"] = "dst"
    typed_keys: bool = True
    ext_pipe: Literal["raw", "escape"] = "raw"

    columns: ClassVar[tuple[str, ...]] = (
        "id",
        "owner_name",
        "type",
        "summary",
        "rating",
        "confidence",
        "threat_assess_rating",
        "threat_assess_confidence",
        "date_added",
        "last_modified",
        "web_link",
        "description",
        "source",
        "tags",
        "security_labels",
        "md5",
        "sha1",
        "sha256",
        "size",
    )

    def header(self) -> bytes:
        """CEF has none."""
        return b""

    def encode(self, frame: pl.DataFrame) -> Encoded:
        """Turn INDICATORS rows into events, one a line."""
        values = _cleaned(frame.select(self.columns))
        length = pl.col("summary").str.len_chars()
        fitting = values.filter(length <= _CUSTOM_LIMIT)  # also leaves out a null, which is an empty summary

        keys = [*_record_keys(), *(self._typed_keys() if self.typed_keys else []), *_common_keys()]
        lines = fitting.select(self._line(fitting["type"].unique(), keys)).to_series()
        limited = [key for key in keys if key.limit is not None]
        truncated = fitting.select(key.too_long.sum().alias(key.name) for key in limited).row(0, named=True)
        skipped = {
            "summary-empty": values["summary"].null_count(),
            "summary-too-long": values.select((length > _CUSTOM_LIMIT).sum()).item(),
        }
        return Encoded(joined(lines), lines.len(), skipped, truncated)

    def _line(self, types: Iterable[str], keys: list[_Key]) -> pl.Expr:
        prefix = f"CEF:{self.cef_version}|{_DEVICE}"
        headers = {type_: f"{prefix}|{_event_class(type_)}|{_event_name(type_)}|" for type_ in types}
        escapes = {"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"}
        if self.ext_pipe == "escape":
            escapes["|"] = "\\|"
        header = pl.col("type").replace_strict(headers, return_dtype=pl.String)
        external_id, category, *others = (key.pair(escapes) for key in keys)
        # No blank after the header. The category is always there, so that the others may begin with theirs.
        first = pl.concat_str(external_id, category, ignore_nulls=True).str.strip_chars_start()
        # One concatenation for the whole line: it is the dearest step, and twice the work if done in two.
        severity = self._severity().cast(pl.String)
        return pl.concat_str(header, severity, pl.lit("|"), first, *others, pl.lit("\n"), ignore_nulls=True)

    def _severity(self) -> pl.Expr:
        """0 to 10; halves are rounded up."""
        score = pl.col("rating") * 2
        if self.severity == "weighted":
            out_of_100 = _half_up(pl.col("rating") * 20 * pl.col("confidence").fill_null(50) / 100)
            score = out_of_100 / 10
        return _half_up(score).clip(0, 10).fill_null(0).cast(pl.Int64)

    def _typed_keys(self) -> list[_Key]:
        summary = pl.col("summary")
        ipv6, ipv6_label = _IPV6_KEYS[self.address_as]
        registry = _of("Registry Key", summary)
        parts = [registry.str.extract(_REGISTRY, group).str.strip_chars() for group in (1, 2)]
        return [
            _Key(self.address_as, _of("Address", summary, summary.str.contains(_IPV4)), _TEXT_LIMIT),
            _Key(ipv6, _of("Address", summary, summary.str.contains(_IPV6)), _TEXT_LIMIT, ipv6_label),
            _Key("dhost", _of("Host", summary), _TEXT_LIMIT),
            _Key("request", _of("URL", summary), _TEXT_LIMIT),
            _Key("suser", _of("EmailAddress", summary), _TEXT_LIMIT),
            _Key("requestClientApplication", _of("User Agent", summary), _TEXT_LIMIT),
            _Key("fileHash", _of("File", pl.coalesce("sha256", "sha1", "md5")), _HASH_LIMIT),
            _Key("fsize", _of("File", pl.col("size").cast(pl.String))),
            _Key("flexString1", _of("File", pl.col("md5")), _TEXT_LIMIT, "MD5"),
            _Key("flexString2", _of("File", pl.col("sha1")), _TEXT_LIMIT, "SHA1"),
            _Key("filePath", pl.coalesce(parts[0], registry), _TEXT_LIMIT),
            _Key("fname", pl.when(parts[1] != "").then(parts[1]), _TEXT_LIMIT),
            _Key("fileType", _of("Registry Key", pl.lit("RegistryKey"))),
        ]


def _record_keys() -> list[_Key]:
    return [
        # First, because rsyslog's parser loses a letter of whichever key comes first.
        _Key("externalId", pl.col("id").cast(pl.String)),
        _Key("cat", pl.lit("/Threat Intelligence/Indicator/") + pl.col("type"), _TEXT_LIMIT, cut=True),
        _Key("rt", epoch_ms(pl.col("last_modified")).cast(pl.String)),
    ]


def _common_keys() -> list[_Key]:
    return [
        _Key("msg", pl.col("description"), _TEXT_LIMIT, cut=True),
        _Key("cs1", pl.col("summary"), _CUSTOM_LIMIT, "Indicator"),
        _Key("cs2", pl.col("type"), _CUSTOM_LIMIT, "Indicator Type", cut=True),
        _Key("cs3", pl.col("owner_name"), _CUSTOM_LIMIT, "Owner", cut=True),
        _Key("cs4", pl.col("tags"), _CUSTOM_LIMIT, "Tags", cut=True),
        _Key("cs5", pl.col("web_link"), _CUSTOM_LIMIT, "Link"),
        _Key("cs6", pl.col("security_labels"), _CUSTOM_LIMIT, "Security Labels", cut=True),
        _Key("cn1", pl.col("confidence").cast(pl.String), label="Confidence"),
        _Key("cfp1", pl.col("rating").cast(pl.String), label="Rating"),
        _Key("cfp2", pl.col("threat_assess_rating").cast(pl.String), label="ThreatAssess Rating"),
        _Key("cfp3", pl.col("threat_assess_confidence").cast(pl.String), label="ThreatAssess Confidence"),
        _Key("deviceCustomDate1", epoch_ms(pl.col("date_added")).cast(pl.String), label="Date Added"),
        _Key("ThreatConnectExportSource", pl.col("source"), _TEXT_LIMIT, cut=True),
    ]


def _cleaned(frame: pl.DataFrame) -> pl.DataFrame:
    """*frame* with lists as text, clean texts, no NaN; an empty text is null, as its key is to be left out."""
    texts = frame.with_columns(
        tag_names(pl.col("tags")).list.join("; "),
        pl.col("security_labels").list.join("; "),
        finite(cs.float()),
    ).with_columns(cleaned(cs.string()))
    return texts.with_columns(pl.when(cs.string() != "").then(cs.string())).with_columns(
        # The one text that is in the event's header too, where a line break has no escape.
        pl.col("type").str.replace_all(r"[\r\n]", " ").fill_null("Unknown")
    )


def _of(type_: str, text: pl.Expr, condition: pl.Expr | bool = True) -> pl.Expr:
    """*text* on rows of one indicator type, null on the others."""
    return pl.when((pl.col("type") == type_) & condition).then(text)


def _half_up(number: pl.Expr) -> pl.Expr:
    return (number + 0.5).floor()


def _event_class(type_: str) -> str:
    """``Registry Key`` and ``EmailAddress`` as ``indicator-registry-key`` and ``indicator-email-address``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type_)
    return f"indicator-{re.sub(r'[^A-Za-z0-9]+', '-', words).strip('-').lower()}"[:_CLASS_LIMIT]


def _event_name(type_: str) -> str:
    name = f"Threat indicator: {type_}"[:_NAME_LIMIT].rstrip()
    return name.replace("\\", "\\\\").replace("|", "\\|")
