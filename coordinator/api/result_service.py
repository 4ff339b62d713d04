"""ResultService: stored results, results as they are committed, how many there are, and which of them were right."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from coordinator.api.caller import caller_name
from coordinator.api.errors import Context
from coordinator.errors import BadInput
from coordinator.results.labels import GROUPS, Label, Taken, Tally, labels_of
from coordinator.results.query import Count, Filter, Query
from coordinator.results.tail import TailHub
from protos.fleet.v1 import result_pb2 as pb
from protos.fleet.v1.result_pb2_grpc import ResultServiceServicer

BATCH_BYTES = 1024 * 1024
"""Events in one message; gRPC's own limit is 4 MB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StoredResults(Protocol):
    """What is asked of a results database."""

    def batches(self, query: Query) -> Iterator[list[bytes]]:
        """Events of the answers, oldest first, a page at a time."""

    def count(self, query: Query) -> Count:
        """How many answers there are."""


class Labels(Protocol):
    """What is asked of the labels in a results database."""

    def put(self, given: Sequence[Label], by: str, now: datetime) -> Taken:
        """Store labels."""

    def tallies(self, query: Query, version: int, by: str) -> tuple[Tally, ...]:
        """Labelled answers, counted by one of `GROUPS`."""


class ResultService(ResultServiceServicer):
    """Converts, asks, converts. A reader that goes away ends its query."""

    def __init__(self, stored: StoredResults, labels: Labels, hub: TailHub, now: Callable[[], datetime]) -> None:
        self._stored = stored
        self._labels = labels
        self._hub = hub
        self._now = now

    async def QueryResults(self, request: pb.QueryResultsRequest, context: Context) -> AsyncIterator[pb.ResultBatch]:
        """Stored results, oldest first, in batches; the next page is read when the last one was taken."""
        pages = self._stored.batches(query_from_wire(request))
        while page := await asyncio.to_thread(next, pages, None):
            for events in split(page, BATCH_BYTES):
                yield pb.ResultBatch(events=events)

    async def TailResults(self, request: pb.TailResultsRequest, context: Context) -> AsyncIterator[pb.ResultBatch]:
        """Results as they are committed, from now on."""
        with self._hub.subscribe(filter_from_wire(request.filter)) as subscription:
            await context.send_initial_metadata(())  # tells the reader that it misses nothing from here on
            async for batch in subscription:
                dropped = batch.dropped
                for events in split(batch.events, BATCH_BYTES):
                    yield pb.ResultBatch(events=events, dropped=dropped)
                    dropped = 0

    async def CountResults(self, request: pb.QueryResultsRequest, context: Context) -> pb.CountResultsReply:
        """How many results a query would give, its limit aside, and how many were dropped on nodes."""
        count = await asyncio.to_thread(self._stored.count, query_from_wire(request))
        return pb.CountResultsReply(results=count.results, dropped=count.dropped)

    async def LabelResults(self, request: pb.LabelResultsRequest, context: Context) -> pb.LabelResultsReply:
        """What results should have said."""
        given = labels_of((one.id, one.label) for one in request.results)
        taken = await asyncio.to_thread(self._labels.put, given, caller_name(), self._now())
        return pb.LabelResultsReply(labelled=taken.labelled, right=taken.right, unknown=taken.unknown)

    async def GetAccuracy(self, request: pb.GetAccuracyRequest, context: Context) -> pb.Accuracy:
        """How many labelled answers were right."""
        by = request.by or "version"
        if by not in GROUPS:
            raise BadInput(f"accuracy is not counted by {by!r}: by one of {', '.join(GROUPS)}")
        query = query_from_wire(request.query)
        tallies = await asyncio.to_thread(self._labels.tallies, query, request.version, by)
        return pb.Accuracy(rows=[pb.AccuracyRow(key=t.key, labelled=t.labelled, right=t.right) for t in tallies])


def filter_from_wire(wanted: pb.ResultFilter) -> Filter:
    """The filter."""
    return Filter(wanted.site, wanted.node, wanted.pipeline, wanted.model)


def query_from_wire(request: pb.QueryResultsRequest) -> Query:
    """The query.

    Raises:
        BadInput: a time is not RFC 3339.
    """
    return Query(
        filter=filter_from_wire(request.filter),
        since_us=_microseconds(request.since, "since"),
        until_us=_microseconds(request.until, "until"),
        limit=request.limit,
        newest=request.newest,
    )


def split(events: Sequence[bytes], max_bytes: int) -> Iterator[list[bytes]]:
    """The events in order, in the fewest lists of at most so many bytes; a larger event goes alone."""
    batch: list[bytes] = []
    size = 0
    for event in events:
        if batch and size + len(event) > max_bytes:
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event)
    if batch:
        yield batch


def _microseconds(text: str, what: str) -> int | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadInput(f"{what} {text!r} is not a time with a zone: write it like 2026-05-01T10:00:00Z")
    return (at - _EPOCH) // timedelta(microseconds=1)
