"""Work on items ahead of the one that is used."""

import threading

import pytest

from tcetl.ahead import ahead


def test_results_come_in_order_and_few_items_are_taken_ahead():
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    made = ahead(lambda number: (number, threading.current_thread().name), items())
    assert next(made)[0] == 0
    assert len(taken) <= 4
    rest = list(made)
    assert [number for number, _ in rest] == list(range(1, 20))
    assert all(name.startswith("ahead") for _, name in rest)


def test_an_error_comes_where_its_item_would_and_ends_it():
    made = ahead(lambda number: 1 // number, [1, 0, 1])
    assert next(made) == 1
    with pytest.raises(ZeroDivisionError):
        next(made)
    assert list(made) == []


def test_an_error_of_the_items_is_not_lost():
    def items():
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        list(ahead(str, items()))
