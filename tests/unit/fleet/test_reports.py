"""What nodes report: what of it is news for the audit log, and how little a hostile one gets done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from coordinator.audit.chain import Act
from coordinator.db.control import ControlStore
from coordinator.fleet.nodes import NodeService, Registration
from coordinator.fleet.quota import ACTS_AN_HOUR, Quota
from coordinator.fleet.records import Node, Revocation
from coordinator.fleet.reports import Due, ReportService, news
from protos.digest import digest_of
from protos.identity import NodeId, stream_id
from protos.metrics import Metrics
from protos.reported import Facts, Hello, Reported, ReportedDeployment, Status
from protos.topics import Topics

NODE, OTHER = NodeId("a" * 32), NodeId("b" * 32)
STREAM = stream_id(bytes(16))
KNOWN = Node(NODE, "store-12", "cam-3", {}, Facts(), datetime(2026, 5, 1, tzinfo=UTC))
QUIET = Reported(NODE, 1, 1, None, "2026-05-01T10:00:00Z")
BAD = ReportedDeployment("shelf", "m", 2, digest_of(b""), "failed", "not signed by a publisher")


def test_a_refused_document_and_a_refused_version_are_news_once() -> None:
    refusing = replace_reported(refusal="stale", deployments=(BAD,))
    assert [(act.detail, act.outcome) for act in news(KNOWN, refusing)] == [
        ({"deployment": ""}, "stale"),
        ({"deployment": "shelf"}, "not signed by a publisher"),
    ]
    assert news(replace(KNOWN, reported=refusing), refusing) == ()


def test_another_reason_is_news_and_nothing_else_is() -> None:
    before = replace(KNOWN, reported=replace_reported(refusal="stale"))
    assert news(before, replace_reported(refusal="expired")) == (
        Act(NODE, "node.refused", "store-12/cam-3", {"deployment": ""}, "expired"),
    )
    assert news(before, QUIET) == ()


def replace_reported(refusal: str = "", deployments: tuple[ReportedDeployment, ...] = ()) -> Reported:
    """The quiet report with something to say."""
    return Reported(NODE, 1, 1, None, QUIET.at, deployments, refusal)


class World:
    """Two nodes with documents, and a clock."""

    def __init__(self, store: ControlStore) -> None:
        self.store, self.now = store, KNOWN.registered_at
        self.reports = ReportService(store, Topics(), lambda: self.now)
        nodes = NodeService(store, Topics(), lambda: self.now, lambda _: None)
        for node, name in ((NODE, "cam-3"), (OTHER, "cam-4")):
            nodes.register(Registration(node, name, "store-12"))

    def claims(self, epoch: int, revision: int = 9) -> Due:
        """The first node says that it holds something of that number."""
        return self.reports.hello(NODE, Hello(NODE, "c", "1", Facts(), BAD.digest, epoch, revision, STREAM, 0))

    @property
    def epoch(self) -> int:
        """Of the fleet."""
        with self.store.read() as tx:
            return tx.epoch()

    @property
    def acts(self) -> list[tuple[str, str]]:
        """Who did what, in the audit log."""
        with self.store.read() as tx:
            return [(entry.actor, entry.action) for entry in tx.audit.after(0, 10_000)]


def test_one_node_that_claims_newer_documents_again_and_again_has_all_issued_anew_once_a_minute(
    store: ControlStore,
) -> None:
    world = World(store)
    assert set(world.claims(1).documents) == {NODE, OTHER}  # as after a restore: once is enough for all
    assert world.epoch == 2
    for number in range(2, 20):
        assert OTHER not in world.claims(number).documents
    assert world.epoch == 2
    world.now += timedelta(minutes=1)
    assert OTHER in world.claims(2).documents
    assert world.epoch == 3
    assert world.acts == [(NODE, "fleet.epoch")] * 2, "and it is known which node it was"


def test_what_a_node_makes_the_audit_log_say_is_bounded(store: ControlStore) -> None:
    world = World(store)
    for number in range(ACTS_AN_HOUR + 50):
        world.reports.reported(NODE, replace_reported(refusal=f"reason {number}"))
    assert len(world.acts) == ACTS_AN_HOUR
    world.now += timedelta(hours=1)
    world.reports.reported(NODE, replace_reported(refusal="an hour later"))
    assert len(world.acts) == ACTS_AN_HOUR + 1


def test_nothing_is_taken_of_a_revoked_node_whatever_the_broker_lets_through(store: ControlStore) -> None:
    world = World(store)
    world.reports.status(NODE, Status("online", "c1"))
    with store.write() as tx:
        tx.revoked.add(Revocation(NODE, world.now, "admin:alice", "stolen"))
        before = tx.nodes.get(NODE)
    world.now += timedelta(seconds=1)
    assert world.claims(1) == Due()
    assert world.reports.reported(NODE, replace_reported(refusal="not mine")) == Due()
    assert world.reports.status(NODE, Status("online", "c2")) == Due()
    world.reports.metrics(NODE, Metrics("2026-05-01T10:00:00Z", "2026-05-01T09:00:00Z", {"shelf": 1}))
    with store.read() as tx:
        assert tx.nodes.get(NODE) == before
        assert tx.traffic.get(NODE) is None
    assert (world.epoch, world.acts) == (1, [])


def test_a_quota_is_of_each_key_and_of_each_hour_also_where_the_clock_goes_back() -> None:
    quota, now = Quota(1), KNOWN.registered_at
    assert [quota.take(key, now) for key in "aab"] == [True, False, True]
    assert quota.take("a", now - timedelta(seconds=1))
