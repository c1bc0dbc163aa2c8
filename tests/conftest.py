"""What more than one room's tests need."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tcex_app import tcex_app

from tcetl.emulator import Emulator

# A busy machine is no defect: examples are judged by what they come to, not by how long they take.
settings.register_profile("tcetl", deadline=None)
settings.load_profile("tcetl")


@pytest.fixture
def tcex(tc_emulator_tls: Emulator, tmp_path: Path) -> Iterator[Any]:
    """The vendor's own client, connected to ``tc_emulator_tls``."""
    pytest.importorskip("tcex")
    emulator = tc_emulator_tls
    with tcex_app(emulator.url, emulator.access_id, emulator.secret_key, tmp_path, emulator.ca_file) as app:
        yield app


@pytest.fixture
def little_room() -> Iterator[Callable[[int], None]]:
    """Let no file of this process grow beyond so many bytes from now on: the kernel refuses, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda room: resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
