"""pytest fixtures: an emulator for the whole session, reset before each test that asks for it.

pytest loads this module as a plugin wherever tcetl is installed, so it imports nothing but pytest by itself.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tcetl.emulator.handle import Emulator


@pytest.fixture(scope="session")
def tc_emulator_process() -> Iterator["Emulator"]:
    """The emulator process behind ``tc_emulator``."""
    from tcetl.emulator.handle import run_emulator  # noqa: PLC0415 - see above

    with run_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def tc_emulator_tls_process() -> Iterator["Emulator"]:
    """The emulator process behind ``tc_emulator_tls``."""
    from tcetl.emulator.handle import run_emulator  # noqa: PLC0415 - see above

    with run_emulator(tls=True) as emulator:
        yield emulator


@pytest.fixture
def tc_emulator(tc_emulator_process: "Emulator") -> "Emulator":
    """An emulator over HTTP with empty owners."""
    tc_emulator_process.reset()
    return tc_emulator_process


@pytest.fixture
def tc_emulator_tls(tc_emulator_tls_process: "Emulator") -> "Emulator":
    """An emulator over HTTPS with empty owners; trust its ``ca_file``."""
    tc_emulator_tls_process.reset()
    return tc_emulator_tls_process
