"""Group files: streamed up and down, replaced, and found out about; against scripted answers and the emulator."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from upath import UPath

from tcetl.client import BatchSettings, ThreatConnect
from tcetl.config import Settings
from tcetl.errors import ApiError, AuthenticationError, ConfigError, NotFoundError

if TYPE_CHECKING:
    from tcetl.emulator import Emulator

SOURCE = "Demo Source"
XID = "a/b c-ä"


@pytest.fixture
def live(tc_emulator: "Emulator") -> Iterator[ThreatConnect]:
    settings = Settings(
        base_url=tc_emulator.url,
        access_id=tc_emulator.access_id,
        secret_key=tc_emulator.secret_key,
        timeout=10,
        retries=0,
    )
    with ThreatConnect(settings) as tc:
        job = tc.batch.create(BatchSettings(owner=SOURCE))
        groups = [
            {"type": "Document", "name": "D", "xid": XID, "fileName": "d"},
            {"type": "Signature", "name": "S", "xid": "s", "fileName": "s", "fileType": "YARA", "fileText": "rule"},
        ]
        tc.batch.upload(job, msgspec.json.encode({"group": groups}))
        while not tc.batch.status(job).finished:
            pass
        yield tc


def test_a_file_goes_up_from_memory_disk_and_store_and_comes_back(live: ThreatConnect, tmp_path: Path) -> None:
    assert live.files.size(SOURCE, "Document", XID) == 0
    path, url = tmp_path / "file", UPath("memory://files/file")
    path.write_bytes(b"from a disk" * 100_000)
    url.write_bytes(b"from a store")
    for content, expected in ((b"from memory", b"from memory"), (path, path.read_bytes()), (url, b"from a store")):
        live.files.upload(SOURCE, "Document", XID, content)
        assert live.files.size(SOURCE, "Document", XID) == len(expected)
        with live.files.download(SOURCE, "Document", XID) as stream:
            assert stream.read() == expected


def test_what_is_not_there_is_told(live: ThreatConnect) -> None:
    for call in (live.files.size, live.files.download):
        with pytest.raises(NotFoundError):
            call(SOURCE, "Document", "no such")
    with pytest.raises(NotFoundError):
        live.files.upload(SOURCE, "Report", XID, b"x")
    with pytest.raises(ConfigError, match="a Threat has no file"):
        live.files.upload(SOURCE, "Threat", XID, b"x")
    assert live.files.size(SOURCE, "Signature", "s") is None


def test_a_401_is_answered_by_a_put(live: ThreatConnect, tc_emulator: "Emulator") -> None:
    tc_emulator.add_fault("status", route="/v2/groups/documents/*/upload", method="POST", status=401)
    live.files.upload(SOURCE, "Document", XID, b"x")
    tries = [(entry["method"], entry["status"]) for entry in tc_emulator.journal("/v2/groups/documents/*/upload")]
    assert tries == [("POST", 401), ("PUT", 200)]


def test_a_user_that_may_not_write_is_refused(tc_emulator: "Emulator", live: ThreatConnect) -> None:
    from tcetl.emulator.tenants import READER

    settings = Settings(base_url=tc_emulator.url, access_id=READER.access_id, secret_key=READER.secret_key)
    with ThreatConnect(settings) as reader, pytest.raises(AuthenticationError):
        reader.files.upload(SOURCE, "Document", XID, b"x")


def test_an_upload_of_unknown_outcome_is_not_repeated(live: ThreatConnect, tc_emulator: "Emulator") -> None:
    tc_emulator.add_fault("status", route="/v2/groups/**", method="POST", status=502)
    with pytest.raises(ApiError):
        live.files.upload(SOURCE, "Document", XID, b"x")
    assert len(tc_emulator.journal("/v2/groups/**", method="POST")) == 1
