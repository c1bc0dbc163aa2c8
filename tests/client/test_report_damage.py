"""Damaged reports: each fails with the byte where it is damaged, whatever the block size, and nothing floods memory."""

import io
import json
from typing import Any

import pytest
from generated_reports import END, ITEM_TEXT, WHOLE, documents, read
from hypothesis import given, settings
from hypothesis import strategies as st

from tcetl.client.report import ReportReader, cutting
from tcetl.errors import DamagedDocumentError


@settings(max_examples=40, deadline=None)
@given(documents(), st.data())
def test_a_cut_document_is_damaged(document: bytes, data: st.DataObject) -> None:
    document = document.rstrip()
    end = data.draw(st.integers(0, len(document) - 1))
    for block_size in (1, 40, 1 << 20):
        with pytest.raises(DamagedDocumentError) as caught:
            read(document[:end], block_size=block_size)
        assert 0 <= caught.value.offset <= end


def _is_json(document: bytes) -> bool:
    def no_constant(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(document.decode(), parse_constant=no_constant)
    except ValueError:
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(
    documents(),
    st.data(),
    st.sampled_from([b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\xff", b"0", b"NaN"]),
)
def test_a_document_with_a_wrong_byte(document: bytes, data: st.DataObject, wrong: bytes) -> None:
    place = data.draw(st.integers(0, len(document) - 1))
    changed = document[:place] + wrong + document[place + 1 :]
    results = [outcome(changed, block_size) for block_size in (1, 40, 1 << 20)]
    assert results[0] == results[1] == results[2]
    assert results[0] is None or _is_json(changed)


def test_a_key_that_is_no_text_near_the_end_of_a_block() -> None:
    bad = ITEM_TEXT.replace(b'"summary"', b'"su\xffmary"')
    document = b'{"indicator":[' + b",".join([ITEM_TEXT, ITEM_TEXT, bad, ITEM_TEXT]) + b"]}"
    for block_size in range(1, len(document) + 2):
        with pytest.raises(DamagedDocumentError, match="not JSON"):
            read(document, block_size=block_size)


def outcome(document: bytes, block_size: int) -> object:
    """What reading gives; None for a damaged document."""
    try:
        return read(document, block_size=block_size)
    except DamagedDocumentError:
        return None


@pytest.mark.parametrize("block_size", [1, 20, 150, 1 << 20])
def test_every_truncation(block_size: int) -> None:
    for end in range(len(WHOLE)):
        with pytest.raises(DamagedDocumentError) as caught:
            read(WHOLE[:end], block_size=block_size)
        assert caught.value.offset <= end
        with pytest.raises(DamagedDocumentError, match="announced") as caught:
            read(WHOLE[:end], block_size=block_size, expected_bytes=len(WHOLE))
        assert caught.value.offset == end


@pytest.mark.parametrize(
    ("document", "offset", "says"),
    [
        (b"", 0, "not JSON"),
        (b"<html><body>Sign in</body></html>", 0, "not JSON"),
        (b"{}", 2, "no list of indicators"),
        (b'{"indicator":null}', 18, "no list of indicators"),
        (b'{"indicator":"x"}', 17, "no list of indicators"),
        (b'{"status":"Failure","message":"no"}', 35, "no list of indicators"),
        (b'{"x" {"indicator":[]}}', 5, "not JSON"),
        (b'{"indicator":[]', 15, "does not end"),
        (b'{"indicator":[]}x', 16, "does not end"),
        (WHOLE + WHOLE, len(WHOLE), "does not end"),
        (b'{"indicator":[' + ITEM_TEXT + b'],"indicator":[' + ITEM_TEXT + b"]}", END + 1, "second list"),
        (b'{"indicator":[' + ITEM_TEXT + b",]}", END + 1, "is damaged"),
        (b'{"indicator":[,' + ITEM_TEXT + b"]}", 14, "is damaged"),
        (b'{"indicator":[' + ITEM_TEXT + b",," + ITEM_TEXT + b"]}", END + 1, "is damaged"),
        (b'{"indicator":[' + ITEM_TEXT + b" " + ITEM_TEXT + b"]}", END + 1, "not JSON"),
        (b'{"indicator":[' + ITEM_TEXT + b"}," + ITEM_TEXT + b"]}", END, "'}' between"),
        (
            b'{"indicator":[' + ITEM_TEXT + b"," + ITEM_TEXT.replace(b"Host", b"Ho\xffst") + b"]}",
            END + 1 + ITEM_TEXT.index(b"st"),
            "not JSON",
        ),
        (
            b'{"indicator":[' + ITEM_TEXT + b"," + ITEM_TEXT.replace(b":1", b":01") + b"]}",
            END + 1 + ITEM_TEXT.index(b"1") + 1,
            "not JSON",
        ),
    ],
)
def test_where_it_is_damaged(document: bytes, offset: int, says: str) -> None:
    for block_size in (1, 60, 1 << 20):
        with pytest.raises(DamagedDocumentError, match=says) as caught:
            read(document, block_size=block_size)
        assert abs(caught.value.offset - offset) <= 1, caught.value


@pytest.mark.parametrize("expected_bytes", [len(WHOLE) - 1, len(WHOLE) + 1])
def test_another_length_than_announced(expected_bytes: int) -> None:
    with pytest.raises(DamagedDocumentError, match="were announced"):
        read(WHOLE, expected_bytes=expected_bytes)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [5_000, 1_000_000])
def test_nesting_too_deep_to_read_is_no_crash(depth: int, opening: bytes, closing: bytes) -> None:
    deep = opening * depth + b"1" + closing * depth
    with pytest.raises(DamagedDocumentError):
        read(b'{"indicator":[' + ITEM_TEXT[:-1] + b',"x":' + deep + b"}]}")
    with pytest.raises(DamagedDocumentError):
        read(b'{"x":' + deep + b',"indicator":[]}')


@pytest.mark.parametrize("before", [True, False])
def test_a_flood_around_the_list_is_not_held(before: bool) -> None:
    class Flood(io.RawIOBase):
        start = b'{"x":"' if before else b'{"indicator":[],"x":"'
        given = 0

        def readinto(self, buffer: Any) -> int:
            view = memoryview(buffer)
            view[:] = b"x" * len(view)
            if not self.given:
                view[: len(self.start)] = self.start
            self.given += len(view)
            return len(view)

    flood = Flood()
    with pytest.raises(DamagedDocumentError):
        list(ReportReader(flood, block_size=64 << 10))
    assert flood.given < 3 * cutting.ENVELOPE_LIMIT


def test_an_item_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "ITEM_LIMIT", 100_000)
    large = ITEM_TEXT[:-1] + b',"x":"' + b"y" * 90_000 + b'"}'
    assert len(read(b'{"indicator":[' + large + b"]}", block_size=1000)[0]) == 1
    with pytest.raises(DamagedDocumentError, match=r"an item has more than 100,000 bytes"):
        read(b'{"indicator":[' + ITEM_TEXT[:-1] + b',"x":"' + b"y" * 10_000_000, block_size=1000)


def test_an_error_of_the_stream_passes_through() -> None:
    class Broken(io.RawIOBase):
        asked = 0

        def readinto(self, buffer: Any) -> int:
            self.asked += 1
            if self.asked > 2:
                raise DamagedDocumentError("the connection broke", offset=7)
            view = memoryview(buffer)
            view[:] = (b'{"indicator":[' + b",".join([ITEM_TEXT] * 99))[: len(view)]
            return len(view)

    with pytest.raises(DamagedDocumentError, match="the connection broke"):
        list(ReportReader(Broken(), block_size=1000))
