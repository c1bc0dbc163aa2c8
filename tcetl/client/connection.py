"""A connection to one instance: all that the API can do."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Self

import pyarrow as pa

from tcetl.client.batch import BatchJobs
from tcetl.client.bulk import BulkReports
from tcetl.client.files import GroupFiles
from tcetl.client.owners import (
    IndicatorTypeInfo,
    Owner,
    User,
    find_owner,
    list_indicator_types,
    list_owners,
    own_organization,
    who_am_i,
)
from tcetl.client.paging import PAGE_SIZE
from tcetl.client.retrieve import INCLUDES, count, lookup, retrieve
from tcetl.client.session import Session
from tcetl.config import Settings


class ThreatConnect:
    """A connection to one ThreatConnect instance; a context manager. Safe to share between threads.

    Attributes:
        settings: How it is reached.
        session: Sends single requests to any endpoint.
        bulk: Bulk indicator reports.
        batch: Batch jobs.
        files: The files of groups.
    """

    def __init__(self, settings: Settings | None = None, **arguments: Any) -> None:
        """Connect by *settings*; without, by *arguments*, the environment and ``tc.conf``. Nothing is sent yet.

        Args:
            settings: Complete settings.
            **arguments: As for :meth:`tcetl.config.Settings.resolve`, when *settings* is None.

        Raises:
            ConfigError: A setting is missing or makes no sense.
        """
        self.settings = settings if settings is not None else Settings.resolve(**arguments)
        self.session = Session(self.settings)
        self.bulk = BulkReports(self.session)
        self.batch = BatchJobs(self.session)
        self.files = GroupFiles(self.session)

    def __repr__(self) -> str:
        return f"ThreatConnect({self.settings.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def owners(self) -> list[Owner]:
        """All owners that the API user can see."""
        return list_owners(self.session)

    def owner(self, name: str | None = None) -> Owner:
        """The owner called *name*; by default that of the settings, or else the API user's own organization.

        Raises:
            OwnerNotFoundError: There is none, or the API user cannot see it; the hint names those that it can.
        """
        name = name or self.settings.default_owner
        return find_owner(self.session, name) if name else own_organization(self.session)

    def whoami(self) -> User:
        """The API user that the credentials belong to."""
        return who_am_i(self.session)

    def indicator_types(self) -> list[IndicatorTypeInfo]:
        """The instance's indicator types, custom ones included."""
        return list_indicator_types(self.session)

    def indicators(
        self,
        owner: str,
        *,
        type: str | None = None,  # noqa: A002 - the API's word
        filters: Sequence[str] = (),
        match_any: bool = False,
        modified_since: datetime | None = None,
        includes: Sequence[str] = INCLUDES,
        page_size: int = PAGE_SIZE,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Page through *owner*'s indicators, filtered by the platform. See :func:`tcetl.client.retrieve.retrieve`."""
        return retrieve(
            self.session,
            owner,
            type=type,
            filters=filters,
            match_any=match_any,
            modified_since=modified_since,
            includes=includes,
            page_size=page_size,
            on_progress=on_progress,
        )

    def count_indicators(
        self,
        owner: str,
        *,
        type: str | None = None,  # noqa: A002 - the API's word
        filters: Sequence[str] = (),
        match_any: bool = False,
    ) -> int:
        """How many indicators `indicators` would give."""
        return count(self.session, owner, type=type, filters=filters, match_any=match_any)

    def indicator(
        self,
        owner: str,
        type: str,  # noqa: A002 - the API's word
        value: str,
        *,
        includes: Sequence[str] = INCLUDES,
    ) -> pa.RecordBatch | None:
        """The one indicator of *owner* with this *value*. See :func:`tcetl.client.retrieve.lookup`."""
        return lookup(self.session, owner, type, value, includes=includes)
