"""One suite for every database that results may be kept in: SQLite and PostgreSQL."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from msgspec.structs import replace
from sqlalchemy.schema import CreateTable

from coordinator.db import results_query
from coordinator.db.results_database import RESULTS, ResultsDatabase, open_results
from coordinator.db.results_query import ResultsQuery
from coordinator.db.results_tables import alarms, metadata, partition_table
from coordinator.errors import Unreachable
from coordinator.results.ingest import Alarm, Outcome, StoreFailed
from coordinator.results.labels import GROUPS, Label
from coordinator.results.query import Count, Filter, Query
from coordinator.results.records import Arrival, Kind, read_message
from edge_node.outbox.events import marked_late
from protos.identity import NodeId, StreamId
from tests.durable.node import NODE
from tests.unit.results.arrivals import STREAM, message, result, tombstone

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
OTHER_STREAM = StreamId("6" * 32)
OTHER_NODE = NodeId("b" * 32)


@pytest.fixture
def database(url: str) -> Iterator[ResultsDatabase]:
    """A database of the newest schema that keeps three days."""
    opened = open_results(url, keep_days=3)
    yield opened
    opened.close()


def store(database: ResultsDatabase, *events: bytes, now: datetime = NOW) -> Outcome:
    """Commit one message of the node."""
    arrivals = read_message(message(*events), NODE)
    (outcome,) = database.repository.commit({arrivals[0].stream: arrivals}, now)
    return outcome


def at(seconds: int, number: int, **columns: str) -> Arrival:
    """A result captured so many seconds after 1970."""
    values = {"site": "s", "name": "n", "pipeline": "p", "model": "m"} | columns
    event = json.dumps({"number": number}).encode()
    return Arrival(
        Kind.RESULT, NODE, STREAM, number, number, event, seconds * 1_000_000, **values, version=1, late=False
    )


def numbers(database: ResultsDatabase, query: Query, page: int = 2) -> list[int]:
    """The answers' numbers, read in small pages."""
    pages = list(ResultsQuery(database.engine, page).batches(query))
    assert all(0 < len(found) <= page for found in pages)
    return [json.loads(event)["number"] for found in pages for event in found]


def events(database: ResultsDatabase) -> list[bytes]:
    return [event for found in database.query.batches(Query()) for event in found]


def test_the_migrations_make_the_tables_that_the_code_expects(database: ResultsDatabase) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": f"nearfield_{RESULTS}_schema"})
        assert compare_metadata(context, metadata) == []


def test_results_are_stored_once_and_as_they_came(database: ResultsDatabase) -> None:
    sent = [result(1), result(2), result(3)]
    assert store(database, *sent).through == 3
    again = store(database, *sent)
    assert (again.through, again.duplicates, again.conflict) == (3, 3, None)
    assert sorted(events(database)) == sorted(sent)


def test_behind_a_gap_nothing_is_stored(database: ResultsDatabase) -> None:
    outcome = store(database, result(1), result(3), result(4))
    assert (outcome.through, outcome.beyond_gap) == (1, 2)
    assert store(database, result(2), result(3)).through == 3
    assert len(events(database)) == 3


def test_streams_go_on_where_they_were_after_a_restart(database: ResultsDatabase, url: str) -> None:
    store(database, result(1), result(2))
    again = open_results(url, keep_days=3)
    assert store(again, result(2), result(3)).through == 3
    again.close()
    assert len(events(database)) == 3


def test_many_streams_share_one_commit(database: ResultsDatabase) -> None:
    streams = {StreamId(f"{number:032x}"): number for number in range(1, 40)}
    heard = {
        stream: read_message(message(*(result(seq, stream=stream) for seq in range(1, last + 1))), NODE)
        for stream, last in streams.items()
    }
    outcomes = database.repository.commit(heard, NOW)
    assert {outcome.stream: outcome.through for outcome in outcomes} == streams
    assert len(events(database)) == sum(streams.values())


def test_holes_are_counted_and_widened_ones_only_beyond_what_is_stored(database: ResultsDatabase) -> None:
    store(database, result(1), tombstone(2, 5), result(6))
    outcome = store(database, tombstone(4, 10))
    assert (outcome.through, outcome.holes) == (10, 4)
    assert database.query.count(Query()) == Count(results=2, dropped=8)
    assert database.query.count(Query(Filter(node="cam-3", site="store-12"))).dropped == 8
    assert database.query.count(Query(Filter(node="cam-4"))) == Count(0, 0)


def test_what_was_acknowledged_before_and_lost_here_was_not_dropped_by_the_node(database: ResultsDatabase) -> None:
    assert store(database, tombstone(1, 1000, reason="freed"), result(1001)).through == 1001
    assert database.query.count(Query()) == Count(results=1, dropped=0)


def test_other_content_under_a_stored_number_is_a_conflict_and_changes_nothing(database: ResultsDatabase) -> None:
    store(database, result(1), result(2))
    outcome = store(database, result(1), result(2, label="a clone"))
    assert (outcome.conflict, outcome.through) == (2, 2)
    assert not any(b"a clone" in event for event in events(database))


def test_a_late_repetition_is_no_conflict_even_on_the_next_day(database: ResultsDatabase) -> None:
    first = result(1)
    store(database, first)
    assert store(database, marked_late(first), now=NOW + timedelta(days=1)).conflict is None
    other = store(database, result(1, label="a clone"), now=NOW + timedelta(days=1))
    assert other.conflict == 1


def test_a_stream_belongs_to_the_node_that_began_it(database: ResultsDatabase) -> None:
    store(database, result(1))
    foreign = read_message(message(result(2).replace(NODE.encode(), OTHER_NODE.encode())), OTHER_NODE)
    (outcome,) = database.repository.commit({STREAM: foreign}, NOW)
    assert (outcome.refused, outcome.node) == (True, OTHER_NODE)
    assert len(events(database)) == 1


def test_a_stream_goes_on_under_the_node_that_it_was_handed_over_to(database: ResultsDatabase) -> None:
    store(database, result(1))
    successors = read_message(message(result(2).replace(NODE.encode(), OTHER_NODE.encode())), OTHER_NODE)
    (refused,) = database.repository.commit({STREAM: successors}, NOW)
    assert refused.owner == NODE
    database.repository.hand_over(STREAM, OTHER_NODE)
    (outcome,) = database.repository.commit({STREAM: successors}, NOW)
    assert (outcome.refused, outcome.through) == (False, 2)
    assert store(database, result(3)).refused


def test_two_collectors_on_one_database_store_everything_once(database: ResultsDatabase, url: str) -> None:
    other = open_results(url, keep_days=3)
    sent = [result(seq) for seq in range(1, 201)]

    def collect(into: ResultsDatabase) -> None:
        for begin in range(0, 200, 10):
            store(into, *sent[begin : begin + 10])

    store(database, sent[0])
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(collect, [database, other]))
    other.close()
    assert sorted(events(database)) == sorted(sent)


def test_a_day_may_begin_without_a_result(database: ResultsDatabase) -> None:
    store(database, result(1))
    tomorrow = NOW + timedelta(days=1)
    assert store(database, result(1), now=tomorrow).duplicates == 1
    assert store(database, tombstone(2, 3), now=tomorrow).holes == 2
    assert store(database, result(4), now=tomorrow).through == 4
    assert len(events(database)) == 2


def test_partitions_are_days_of_arrival_and_are_dropped_whole(database: ResultsDatabase) -> None:
    store(database, result(1), tombstone(2, 2), now=NOW - timedelta(days=5))
    store(database, result(3), now=NOW - timedelta(days=3))
    store(database, result(4))
    assert database.repository.drop_expired(NOW) == ["results_20261117"]
    assert database.repository.drop_expired(NOW) == []
    assert database.query.count(Query()) == Count(results=2, dropped=0)
    assert store(database, result(5), now=NOW - timedelta(days=5)).through == 5
    assert len(events(database)) == 3


@pytest.fixture
def answers(database: ResultsDatabase) -> ResultsDatabase:
    """Nine results over three days of arrival; capture times interleave and tie."""
    days = [(1, [at(50, 1), at(10, 2), at(30, 3)]), (2, [at(20, 4), at(30, 5, site="t"), at(60, 6, name="other")])]
    days.append((3, [at(30, 7, pipeline="q"), at(5, 8, model="k"), at(70, 9)]))
    for day, arrivals in days:
        database.repository.commit({STREAM: arrivals}, NOW + timedelta(days=day))
    return database


def test_answers_come_oldest_first_over_all_partitions(answers: ResultsDatabase) -> None:
    assert numbers(answers, Query()) == [8, 2, 4, 3, 5, 7, 1, 6, 9]


def test_since_is_inside_and_until_is_outside(answers: ResultsDatabase) -> None:
    assert numbers(answers, Query(since_us=20_000_000, until_us=50_000_000)) == [4, 3, 5, 7]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(site="t"), [5]),
        (Filter(node="other"), [6]),
        (Filter(node=NODE), [8, 2, 4, 3, 5, 7, 1, 6, 9]),
        (Filter(pipeline="q"), [7]),
        (Filter(model="k"), [8]),
        (Filter(site="s", node="n", pipeline="p", model="m"), [2, 4, 3, 1, 9]),
        (Filter(site="nowhere"), []),
    ],
)
def test_filters_are_about_columns_and_all_must_match(
    answers: ResultsDatabase, wanted: Filter, found: list[int]
) -> None:
    assert numbers(answers, Query(wanted)) == found
    assert answers.query.count(Query(wanted)).results == len(found)


@pytest.mark.parametrize("page", [1, 2, 4, 100])
def test_a_limit_takes_the_oldest_or_the_newest_and_is_oldest_first_either_way(
    answers: ResultsDatabase, page: int
) -> None:
    assert numbers(answers, Query(limit=4), page) == [8, 2, 4, 3]
    assert numbers(answers, Query(limit=4, newest=True), page) == [7, 1, 6, 9]
    assert numbers(answers, Query(limit=100, newest=True), page) == [8, 2, 4, 3, 5, 7, 1, 6, 9]
    assert numbers(answers, Query(Filter(site="s"), until_us=40_000_000, limit=2, newest=True), page) == [3, 7]


def test_more_partitions_than_a_statement_has_terms_are_read_like_few(answers: ResultsDatabase) -> None:
    with answers.engine.begin() as connection:
        for day in range(10, 520):
            connection.execute(CreateTable(partition_table(f"results_{NOW + timedelta(days=day):%Y%m%d}")))
    assert numbers(answers, Query(), page=100) == [8, 2, 4, 3, 5, 7, 1, 6, 9]
    assert numbers(answers, Query(limit=3, newest=True)) == [1, 6, 9]


def test_partitions_that_were_captured_at_the_same_time_are_read_in_small_steps(
    database: ResultsDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_query, "SMALLEST_STEP", 2)
    for day in range(40):
        arrivals = [at(day + 40 * turn, day * 5 + turn + 1) for turn in range(5)]
        database.repository.commit({STREAM: arrivals}, NOW + timedelta(days=day))
    expected = [day * 5 + turn + 1 for turn in range(5) for day in range(40)]
    assert numbers(database, Query()) == expected
    assert numbers(database, Query(limit=77, newest=True)) == expected[-77:]


def test_a_partition_that_is_dropped_while_it_is_read_is_at_its_end(answers: ResultsDatabase) -> None:
    pages = ResultsQuery(answers.engine, 1).batches(Query())
    assert json.loads(next(pages)[0])["number"] == 8
    assert len(answers.repository.drop_expired(NOW + timedelta(days=5))) == 1
    left = [json.loads(event)["number"] for page in pages for event in page]
    assert left in ([4, 5, 7, 6, 9], [2, 4, 5, 7, 6, 9])


def test_the_counters_say_what_counting_says(answers: ResultsDatabase) -> None:
    everything, counted = Query(), Query(since_us=0)
    assert answers.query.count(everything) == answers.query.count(counted) == Count(9, 0)
    answers.repository.commit({STREAM: [at(1, 9), at(2, 10)]}, NOW + timedelta(days=3))
    assert answers.query.count(everything) == answers.query.count(counted) == Count(10, 0)
    answers.repository.drop_expired(NOW + timedelta(days=5))
    assert answers.query.count(everything) == answers.query.count(counted) == Count(7, 0)


def test_what_was_not_committed_is_not_counted(database: ResultsDatabase) -> None:
    store(database, result(1))
    with pytest.raises((sa.exc.DataError, OverflowError)):
        database.repository.commit({STREAM: [at(1, 2), replace(at(1, 3), time_us=2**63)]}, NOW)
    assert database.query.count(Query()) == Count(1, 0)


def put_away(database: ResultsDatabase, request: pytest.FixtureRequest) -> None:
    """Make the database answer nobody any more."""
    if database.engine.dialect.name == "sqlite":
        database.engine.dispose()
        Path(database.engine.url.database or "").write_bytes(b"no database" * 1000)
        return
    name = database.engine.url.database
    server = request.getfixturevalue("postgres_server")
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@pytest.mark.parametrize(
    "ask",
    [
        lambda query: query.count(Query()),
        lambda query: query.count(Query(since_us=0)),
        lambda query: list(query.batches(Query())),
        lambda query: list(query.batches(Query(limit=1, newest=True))),
    ],
)
def test_a_database_that_does_not_answer_is_unreachable_in_one_line(
    database: ResultsDatabase, request: pytest.FixtureRequest, ask: Callable[[ResultsQuery], object]
) -> None:
    store(database, result(1))
    put_away(database, request)
    with pytest.raises(Unreachable, match=r"^database \S+: ") as refused:
        ask(database.query)
    assert "\n" not in str(refused.value)


def test_a_database_that_goes_away_between_two_pages_is_unreachable(
    answers: ResultsDatabase, request: pytest.FixtureRequest
) -> None:
    pages = ResultsQuery(answers.engine, 1).batches(Query())
    next(pages)
    put_away(answers, request)
    with pytest.raises(Unreachable):
        list(pages)


def test_an_empty_database_answers_nothing(database: ResultsDatabase) -> None:
    assert events(database) == []
    assert numbers(database, Query(limit=5, newest=True)) == []
    assert database.query.count(Query()) == Count(0, 0)


def test_an_alarm_is_recorded_once_and_counted(database: ResultsDatabase) -> None:
    for minute in range(3):
        moment = NOW + timedelta(minutes=minute)
        database.repository.record_alarm(Alarm.CONFLICT, NODE, STREAM, f"number {minute}\0\ud800", moment)
    with database.engine.connect() as connection:
        (row,) = connection.execute(sa.select(alarms)).all()
    assert (row.times, row.detail, row.first_at, row.last_at) == (3, "number 2", NOW, NOW + timedelta(minutes=2))


def test_a_database_that_refuses_is_one_line_and_nothing_is_half_stored(database: ResultsDatabase) -> None:
    store(database, result(1))
    table = f"results_{NOW:%Y%m%d}"
    with database.engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO elsewhere"))
    with pytest.raises(StoreFailed) as refused:
        store(database, result(2))
    assert "\n" not in str(refused.value)
    with database.engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE elsewhere RENAME TO {table}"))
    assert store(database, result(2)).through == 2


def test_a_value_that_the_database_cannot_keep_is_no_failure_of_the_database(database: ResultsDatabase) -> None:
    store(database, result(1))
    with pytest.raises((sa.exc.DataError, OverflowError)):
        database.repository.commit({STREAM: [replace(at(1, 2), time_us=2**63)]}, NOW)
    assert store(database, result(2)).through == 2


def test_labels_count_right_answers_by_node_and_pipeline_and_go_with_time(database: ResultsDatabase) -> None:
    store(database, *(result(seq) for seq in (1, 2, 3)))
    said = json.loads(result(1))["data"]
    label = said["outputs"][0]["label"]
    given = [Label(STREAM, 1, label), Label(STREAM, 2, "wrong"), Label(STREAM, 9, "x"), Label(OTHER_STREAM, 1, "x")]
    taken = database.labels.put(given, "operator:o", NOW)
    assert (taken.labelled, taken.right) == (2, 1)
    assert taken.unknown == (f"{STREAM}/9", f"{OTHER_STREAM}/1")
    second = json.loads(result(2))["data"]["outputs"][0]["label"]
    again = database.labels.put([Label(STREAM, 2, second)], "operator:o", NOW)
    assert (again.labelled, again.right) == (1, 1)
    (truth,) = database.labels.truths(said["model"], said["version"], datetime.fromtimestamp(0, UTC))
    assert (truth.node, truth.pipeline, truth.labelled, truth.right) == (NODE, said["pipeline"], 2, 2)
    assert database.labels.truths(said["model"], said["version"] + 1, datetime.fromtimestamp(0, UTC)) == ()
    for group in GROUPS:
        assert sum(one.labelled for one in database.labels.tallies(Query(), 0, group)) == 2
    database.repository.drop_expired(NOW + timedelta(days=4))
    assert database.labels.tallies(Query(), 0, "site") == ()
