"""The settings a batch job is created with (api §5.2)."""

from dataclasses import dataclass
from typing import Any, Final

from tcetl.emulator.answers import RefusalError

_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "version": ("V1", "V2"),
    "action": ("Create", "Delete"),
    "attributeWriteType": ("Append", "Replace", "Singleton", "Static"),
    "tagWriteType": ("Append", "Replace"),
    "securityLabelWriteType": ("Append", "Replace"),
    "fileMergeMode": ("Distribute", "Merge"),
    "hashCollisionMode": ("FavorExisting", "FavorIncoming", "IgnoreExisting", "IgnoreIncoming", "Split"),
}
_DEFAULTS: Final = {
    "tagWriteType": "Replace",
    "securityLabelWriteType": "Replace",
    "fileMergeMode": "Merge",
    "hashCollisionMode": "FavorIncoming",
}


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What one job does with its input. ``version`` is None when the client did not say (api §9 G-18)."""

    owner: str
    action: str
    halt_on_error: bool
    version: str | None
    attribute_write_type: str
    tag_write_type: str
    label_write_type: str
    file_merge_mode: str
    hash_collision_mode: str


def _choice(document: dict[str, Any], field: str) -> str | None:
    given = document.get(field, _DEFAULTS.get(field))
    if given is None or given in _CHOICES[field]:
        return given
    # Wording of the template in api §1.4, the space before the comma included.
    raise RefusalError(
        400,
        f"The {field} for this Batch is invalid , please enter one of the following values: "
        f"{', '.join(_CHOICES[field])}",
    )


def _required(document: dict[str, Any], field: str) -> str:
    value = _choice(document, field) if field in _CHOICES else document.get(field)
    if not isinstance(value, str) or not value:
        raise RefusalError(400, f"The {field} for this Batch is required")  # wording assumed
    return value


def read_settings(document: dict[str, Any]) -> JobSettings:
    """Check the body of a create request; 400 names the field at fault."""
    halt = document.get("haltOnError")
    if not isinstance(halt, bool) and str(halt).lower() not in {"true", "false"}:
        raise RefusalError(400, "The haltOnError for this Batch is required")
    return JobSettings(
        owner=_required(document, "owner"),
        action=_required(document, "action"),
        halt_on_error=str(halt).lower() == "true",  # strings occur (api §9 G-21)
        version=_choice(document, "version"),
        attribute_write_type=_required(document, "attributeWriteType"),
        tag_write_type=_required(document, "tagWriteType"),
        label_write_type=_required(document, "securityLabelWriteType"),
        file_merge_mode=_required(document, "fileMergeMode"),
        hash_collision_mode=_required(document, "hashCollisionMode"),
    )
