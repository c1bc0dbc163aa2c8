import pytest

from tcetl.emulator.rules import check, split_summary
from tcetl.emulator.seeding import Seeder
from tcetl.emulator.store import Store
from tcetl.emulator.tenants import OWNERS
from tcetl.emulator.vocabulary import INDICATORS

SOURCE, COMMUNITY = OWNERS[1], OWNERS[2]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def values(store, owner=SOURCE):
    sql = (
        "SELECT type, key, value1, value2, value3, rating, tags, date_added FROM indicator WHERE owner = ? ORDER BY id"
    )
    return [tuple(row) for row in store.reader.execute(sql, (owner.id,))]


def test_same_seed_same_indicators_and_more_go_on_from_there(store, tmp_path):
    Seeder(store).seed(SOURCE, 300, seed=7)
    (tmp_path / "other").mkdir()
    other = Store(tmp_path / "other")
    seeder = Seeder(other)
    seeder.seed(SOURCE, 100, seed=7)
    seeder.seed(SOURCE, 200, seed=7)
    seeder.seed(COMMUNITY, 300, seed=7)
    assert values(store) == values(other)
    assert values(other) != values(other, COMMUNITY)


def test_values_are_valid_and_stored_in_their_lookup_form(store):
    Seeder(store).seed(SOURCE, 20_000)
    rows = values(store)
    assert {row[0] for row in rows} == INDICATORS.keys()
    for type_, key, *parts in (row[:5] for row in rows):
        kind = INDICATORS[type_]
        value = check(kind, [part for part in parts if part])
        assert value.key == key
        assert tuple(part for part in value.parts if part) == tuple(part for part in parts if part)
        assert check(kind, split_summary(kind, value.summary)) == value
