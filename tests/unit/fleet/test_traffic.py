"""What a node's bytes add up to over the starts of its agent, and what of its egress policy is recorded."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as some

from coordinator.db.control import ControlStore
from coordinator.fleet.egress_policy import policy_changes
from coordinator.fleet.records import Node
from coordinator.fleet.reports import ReportService
from coordinator.fleet.traffic import MOST, Counts, Traffic, accumulated, saved
from protos.identity import NodeId, StreamId
from protos.metrics import Metrics
from protos.reported import EgressPolicy, Facts, Hello
from protos.topics import Topics

NODE = NodeId("a" * 32)
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def told(taken_in: int, durable: int, started: str = "first") -> Metrics:
    """Metrics of a run."""
    return Metrics("now", started, edge_source_bytes_total=taken_in, edge_egress_bytes_total={"durable": durable})


def test_a_run_counts_once_however_often_it_is_told() -> None:
    known: Traffic | None = None
    for metrics in (told(100, 10), told(300, 30), told(300, 30)):
        known = accumulated(known, NODE, metrics, NOW)
    assert known is not None
    assert known.total == Counts(300, {"durable": 30})


def test_a_new_run_begins_behind_the_one_before() -> None:
    known = accumulated(None, NODE, told(300, 30), NOW)
    known = accumulated(known, NODE, told(50, 5, "second"), NOW)
    assert known.total == Counts(350, {"durable": 35})
    known = accumulated(known, NODE, told(10, 1, "second"), NOW)  # two starts in the same millisecond of 1970
    assert known.total == Counts(360, {"durable": 36})


@given(some.lists(some.tuples(some.integers(0, 10**6), some.integers(0, 10**6)), min_size=1, max_size=20))
def test_whatever_is_lost_on_the_way_the_total_is_that_of_the_newest_of_each_run(
    runs: list[tuple[int, int]],
) -> None:
    known: Traffic | None = None
    for number, (taken_in, durable) in enumerate(runs):
        for part in (0, 2, 1) if number % 2 else (1,):  # the last of a run is what counts, in whatever order it came
            known = accumulated(known, NODE, told(taken_in, durable, f"{number}"), NOW) if part else known
    assert known is not None
    assert known.total.taken_in == sum(taken_in for taken_in, _ in runs)


def test_no_number_of_a_node_breaks_the_count() -> None:
    wild = Metrics("", "", edge_source_bytes_total=-5, edge_egress_bytes_total={"durable": 10**30, "nonsense": 7})
    known = accumulated(None, NODE, wild, NOW)
    assert known.total == Counts(0, {"durable": MOST})


def test_what_stayed_is_a_share_of_what_came_in() -> None:
    assert saved(Counts(1000, {"durable": 10})) == 0.99
    assert saved(Counts(10, {"durable": 1000})) == 0.0
    assert saved(Counts()) is None


def test_the_traffic_of_a_node_is_kept_with_it(store: ControlStore) -> None:
    reports = ReportService(store, Topics(), lambda: NOW)
    reports.metrics(NODE, told(1, 1))
    with store.write() as tx:
        assert tx.traffic.all() == {}, "of a stranger nothing is kept"
        tx.nodes.put(Node(NODE, "store-12", "cam-3", {}, Facts(), NOW))
    reports.metrics(NODE, told(1000, 10))
    with store.write() as tx:
        kept = tx.traffic.get(NODE)
        assert kept is not None
        assert tx.traffic.all() == {NODE: kept}
        assert kept.total == Counts(1000, {"durable": 10})
        tx.nodes.remove(NODE)
        assert tx.traffic.all() == {}


def test_a_change_of_the_egress_policy_is_recorded_once(store: ControlStore) -> None:
    reports = ReportService(store, Topics(), lambda: NOW)
    node = Node(NODE, "store-12", "cam-3", {}, Facts(egress=EgressPolicy(live=False)), NOW)
    assert policy_changes(node, replace_policy(EgressPolicy(live=False))) == ()
    with store.write() as tx:
        tx.nodes.put(replace(node))
    for _ in range(2):
        reports.hello(NODE, Hello(NODE, "c", "0", replace_policy(EgressPolicy()), None, 0, 0, StreamId("b" * 32), 0))
    with store.read() as tx:
        entries = [entry for entry in tx.audit.after(0, 10) if entry.action == "node.egress"]
    assert [entry.subject for entry in entries] == ["store-12/cam-3"]
    assert '"live":false' in entries[0].detail.replace(" ", "")


def replace_policy(policy: EgressPolicy) -> Facts:
    """Facts with another policy."""
    return Facts(egress=policy)
