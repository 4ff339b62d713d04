"""`edgectl results` against a coordinator's real result service over gRPC, and a database with real results in it."""

import asyncio
import csv
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from pyarrow import parquet

from coordinator.api.errors import ErrorsToStatus
from coordinator.api.facts import BrokerLink, CoordinatorFacts
from coordinator.api.result_service import ResultService, split
from coordinator.api.system_service import SystemService
from coordinator.authority.credential import Credential
from coordinator.cli import main
from coordinator.cli.secret_file import write_secret
from coordinator.db.engine import sqlite_url
from coordinator.db.results_database import ResultsDatabase, open_results
from coordinator.errors import Exit
from coordinator.fleet.census import Census
from coordinator.results.query import Filter
from coordinator.results.records import read_message
from coordinator.results.tail import TailHub
from protos.fleet.v1 import result_pb2 as pb
from protos.fleet.v1.result_pb2_grpc import ResultServiceStub, add_ResultServiceServicer_to_server
from protos.fleet.v1.system_pb2_grpc import add_SystemServiceServicer_to_server
from tests.authorities import Authority
from tests.coordinators import TLS, tls
from tests.durable.node import NODE
from tests.unit.results.arrivals import STREAM, message, result, tombstone

COUNT = 2500


class Coordinator:
    """A gRPC server with the result service alone, on an event loop in a thread of its own."""

    def __init__(self, database: ResultsDatabase, authority: Authority) -> None:
        self._files, login = authority.issue("coordinator", server=True), authority.issue("viewer:alice")
        self.credential = Credential(*(file.read_bytes() for file in (login.certificate, login.key, login.ca)))
        self.database, self.hub = database, TailHub()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    async def _start(self) -> int:
        self._server = grpc.aio.server(interceptors=(ErrorsToStatus(),))
        service = ResultService(self.database.query, self.database.labels, self.hub, lambda: datetime.now(UTC))
        add_ResultServiceServicer_to_server(service, self._server)  # type: ignore[no-untyped-call]
        facts = CoordinatorFacts("0", "mqtt://127.0.0.1", "external", "edge/v1", (), datetime.now(UTC))
        census = Census(nodes=0, nodes_online=0, deployments=0, epoch=1)
        system = SystemService(facts, lambda: BrokerLink(True, ""), lambda: census, self.database.query)
        add_SystemServiceServicer_to_server(system, self._server)  # type: ignore[no-untyped-call]
        key, chain, ca = (file.read_bytes() for file in (self._files.key, self._files.certificate, self._files.ca))
        shown = grpc.ssl_server_credentials([(key, chain)], ca, require_client_auth=True)
        port = self._server.add_secure_port("127.0.0.1:0", shown)
        await self._server.start()
        return port

    def store(self, *events: bytes) -> None:
        """What the collector does with a message."""
        outcomes = self.database.repository.commit({STREAM: read_message(message(*events), NODE)}, datetime.now(UTC))
        self.hub.publish(outcomes[0].stored)

    def close(self) -> None:
        """End it."""
        asyncio.run_coroutine_threadsafe(self._server.stop(0), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def coordinator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coordinator]:
    """With COUNT results and a hole of seven."""
    database = open_results(sqlite_url(tmp_path / "results.db"), keep_days=3)
    started = Coordinator(database, Authority(tmp_path / "authority"))
    write_secret(tmp_path / "alice.pem", started.credential.pem)
    monkeypatch.setenv("NEARFIELD_CREDENTIALS", str(tmp_path / "alice.pem"))
    started.store(*(result(seq) for seq in range(1, COUNT + 1)), tombstone(COUNT + 1, COUNT + 7))
    yield started
    started.close()
    database.close()


def edgectl(coordinator: Coordinator, *arguments: str, noun: str = "results") -> int:
    return main(["--coordinator", f"127.0.0.1:{coordinator.port}", noun, *arguments])


def put_away(coordinator: Coordinator) -> None:
    """Make a database that answers nobody of the coordinator's."""
    coordinator.database.engine.dispose()
    Path(coordinator.database.engine.url.database or "").write_bytes(b"no database" * 1000)


def test_a_query_prints_every_event_as_it_was_sent(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgectl(coordinator, "query", "--node", "cam-3", "--since", "1h", "--json") == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == sorted(result(seq).decode() for seq in range(1, COUNT + 1))


def test_for_people_a_query_is_a_table_of_the_newest(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgectl(coordinator, "query", "--site", "store-12", "--limit", "2") == Exit.DONE
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["TIME", "SITE", "NODE", "PIPELINE", "MODEL", "OUTPUTS"]
    assert len(rows) == 2
    assert rows[0].split()[1:] == ["store-12", "cam-3", "shelf", "mobilenet-v2@3", *rows[0].split()[-2:]]


def test_what_does_not_match_is_not_there(coordinator: Coordinator, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgectl(coordinator, "query", "--node", "cam-4", "--json") == Exit.DONE
    assert capsys.readouterr().out == ""


def test_counting_tells_what_was_dropped(coordinator: Coordinator, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgectl(coordinator, "count", "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out) == {"results": COUNT, "dropped": 7}


@pytest.mark.parametrize("since", ["yesterday", "5 minutes", "2026-13-01", "999999999w"])
def test_a_time_that_is_none_is_one_line(
    coordinator: Coordinator, since: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgectl(coordinator, "query", "--since", since) == Exit.USAGE
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "write a duration like 5m" in said


@pytest.mark.parametrize("command", [("query",), ("query", "--json"), ("count",), ("export", "-o", "-")])
def test_a_results_database_that_is_away_is_one_line(
    coordinator: Coordinator, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    put_away(coordinator)
    assert edgectl(coordinator, *command) == Exit.UNREACHABLE
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "results.db: file is not a database" in said


def test_the_status_counts_results_and_says_when_their_database_is_away(
    coordinator: Coordinator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgectl(coordinator, "--json", noun="status") == Exit.DONE
    assert json.loads(capsys.readouterr().out)["results"] == COUNT
    put_away(coordinator)
    assert edgectl(coordinator, noun="status") == Exit.UNREACHABLE
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "results.db: file is not a database" in said


def test_an_export_holds_the_same_results_in_every_format(coordinator: Coordinator, tmp_path: Path) -> None:
    for name in ("jsonl", "csv", "parquet"):
        assert edgectl(coordinator, "export", "--format", name, "-o", str(tmp_path / f"r.{name}")) == Exit.DONE
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()]
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert [event["id"] for event in lines] == [row["id"] for row in rows] == [row["id"] for row in columns]
    assert len(lines) == COUNT
    assert json.loads(rows[0]["outputs"]) == json.loads(columns[0]["outputs"]) == lines[0]["data"]["outputs"]
    assert columns[0]["infer_ms"] == 6.9
    assert columns[0]["time"] == datetime.fromisoformat(lines[0]["time"])
    assert columns[0]["late"] is lines[0]["data"]["late"]
    assert (rows[0]["time"], rows[0]["late"]) == (lines[0]["time"], str(lines[0]["data"]["late"]).lower())


def test_an_export_that_fails_leaves_no_file(coordinator: Coordinator, tmp_path: Path) -> None:
    assert edgectl(coordinator, "export", "-o", str(tmp_path / "absent" / "r.jsonl")) == Exit.FAILED
    assert (
        main(["--coordinator", "127.0.0.1:1", "results", "export", "-o", str(tmp_path / "r.jsonl")]) == Exit.UNREACHABLE
    )
    assert not (tmp_path / "r.jsonl").exists()
    assert not list(tmp_path.glob(".r.jsonl*"))


def test_a_tail_gets_what_is_committed_from_now_on(coordinator: Coordinator) -> None:
    with grpc.secure_channel(f"127.0.0.1:{coordinator.port}", tls(coordinator.credential), options=TLS) as channel:
        stub = ResultServiceStub(channel)  # type: ignore[no-untyped-call]
        stream = stub.TailResults(pb.TailResultsRequest(filter=pb.ResultFilter(node="cam-3")))
        stream.initial_metadata()
        first = COUNT + 8
        coordinator.store(result(first), result(first + 1))
        assert list(next(stream).events) == [result(first), result(first + 1)]
        stream.cancel()


def test_a_watcher_that_goes_away_is_forgotten(coordinator: Coordinator) -> None:
    with grpc.secure_channel(f"127.0.0.1:{coordinator.port}", tls(coordinator.credential), options=TLS) as channel:
        stub = ResultServiceStub(channel)  # type: ignore[no-untyped-call]
        stream = stub.TailResults(pb.TailResultsRequest())
        stream.initial_metadata()
        assert len(coordinator.hub._subscriptions) == 1
        stream.cancel()
    gone = threading.Event()
    for _ in range(200):
        if not coordinator.hub._subscriptions:
            return
        gone.wait(0.05)
    pytest.fail("the subscription is still there")


def test_events_travel_in_messages_of_bounded_size() -> None:
    assert list(split([b"aa", b"bb", b"cccccccc", b"d"], 4)) == [[b"aa", b"bb"], [b"cccccccc"], [b"d"]]
    assert list(split([], 4)) == []
    assert Filter().select([]) == []


def test_an_export_to_where_no_file_can_be_is_one_line(
    coordinator: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain").touch()
    place = tmp_path / "plain" / "r.csv"
    assert edgectl(coordinator, "export", "--format", "csv", "-o", str(place)) == Exit.FAILED
    assert capsys.readouterr().err == f"edgectl: {place}: Not a directory: choose another file with -o\n"


def test_labels_arrive_later_and_say_how_many_answers_were_right(
    coordinator: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, second, third = (json.loads(result(seq))["data"]["outputs"][0]["label"] for seq in (1, 2, 3))
    assert edgectl(coordinator, "label", f"{STREAM}/1", said) == Exit.DONE
    assert capsys.readouterr().out == "1 labelled; 1 of these answers were right\n"
    table = tmp_path / "labels.csv"
    table.write_text(f"id,label\n{STREAM}/1,wrong\n{STREAM}/2,{second}\n{STREAM}/3,{third}\n")
    assert edgectl(coordinator, "label", "--file", str(table), "--json") == Exit.DONE
    assert json.loads(capsys.readouterr().out) == {"labelled": 3, "right": 2, "unknown": []}
    assert edgectl(coordinator, "accuracy", "--by", "pipeline", "--since", "1h", "--json") == Exit.DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["labelled"], row["right"], row["accuracy"]) == (3, 2, 0.666667)
    data = json.loads(result(1))["data"]
    assert edgectl(coordinator, "accuracy", "--model", f"{data['model']}@{data['version']}", "--json") == Exit.DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert row["version"] == f"{data['model']}@{data['version']}"
    assert edgectl(coordinator, "accuracy", "--model", f"{data['model']}@99") == Exit.DONE
    assert "no labels" in capsys.readouterr().out


def test_labels_of_results_that_are_not_there_are_named_and_the_others_stored(
    coordinator: Coordinator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"id,label\n{STREAM}/1,x\n{STREAM}/{COUNT + 1},x\n{'9' * 32}/1,x\n")
    assert edgectl(coordinator, "label", "--file", str(table)) == Exit.FAILED
    printed = capsys.readouterr()
    assert printed.out.startswith("1 labelled")
    assert "2 of these results are not stored here" in printed.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["label"], "give the id of a result"),
        (["label", "nothing", "cat"], "is not the id of a result"),
        (["label", "--file", "nowhere.csv"], "cannot be read"),
        (["accuracy", "--model", "m@x"], "m@x"),
    ],
)
def test_what_is_no_label_costs_one_line(
    coordinator: Coordinator, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgectl(coordinator, *arguments) in (Exit.FAILED, Exit.USAGE)
    printed = capsys.readouterr().err
    assert complaint in printed
    assert printed.count("\n") == 1
