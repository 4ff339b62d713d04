"""One suite for every database that control data may be kept in: SQLite and PostgreSQL."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url
from coordinator.db.migrate import CONTROL, upgrade
from coordinator.db.tables import metadata
from coordinator.errors import BadInput, NotFound, Refused, Unreachable
from coordinator.fleet.presence import Connection, Presence
from coordinator.fleet.records import Applied, Issued, Node
from coordinator.registry.records import Version
from protos.deployment import Deployment, Pipeline
from protos.digest import digest_of
from protos.identity import NodeId
from protos.oci import BundleFile
from protos.reported import Facts, Reported

NOW = datetime(2026, 5, 1, 10, 0, 0, 123456, UTC)
NODE = NodeId("a" * 32)
OTHER = NodeId("b" * 32)


def a_version(model: str = "mobilenet", number: int = 1, content: bytes = b"1") -> Version:
    """A version with two files."""
    files = (BundleFile("labels.txt", digest_of(b"labels"), 6), BundleFile("model.toml", digest_of(content), 1))
    return Version(model, number, digest_of(b"bundle" + content), "classification", 5 * 2**31, NOW, files)


def a_node(node: NodeId = NODE, name: str = "cam-3") -> Node:
    """A node that has reported."""
    return Node(
        id=node,
        site="store-12",
        name=name,
        labels={"camera": "left", "nearfield.io/gpu": ""},
        facts=Facts(hostname="höst", cores=4, sources=("shelf",), engines={"litert": "2.3"}),
        registered_at=NOW,
        connection=Connection(Presence.ONLINE, "c1"),
        last_seen=NOW + timedelta(seconds=1),
        held_digest=digest_of(b"held"),
        reported=Reported(node, 1, 2, None, "2026-05-01T10:00:00Z", refusal="why"),
    )


def a_deployment(name: str = "shelf", model: str = "mobilenet@1", after_s: int = 0) -> Applied:
    """A deployment of the version."""
    spec = Deployment(name, "site=store-12", model, (Pipeline("shelf", "shelf", fps=2.5),))
    return Applied(spec, a_version().digest, NOW + timedelta(seconds=after_s), NOW + timedelta(seconds=after_s))


def test_migrations_make_exactly_the_tables_that_the_code_uses(engine: sa.Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    upgrade(engine, CONTROL)
    with engine.connect() as connection:
        options = {"version_table": "nearfield_control_schema", "compare_type": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    assert differences == []


def test_migrating_twice_changes_nothing(store: ControlStore) -> None:
    with store.write() as tx:
        tx.raise_epoch(7)
    store.prepare()
    with store.read() as tx:
        assert tx.epoch() == 7


def test_a_database_of_a_newer_version_is_refused_in_one_line(engine: sa.Engine, store: ControlStore) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE nearfield_control_schema SET version_num = '9999'"))
    with pytest.raises(Refused, match="a schema that this version does not know"):
        store.prepare()


def test_a_new_database_is_in_its_first_epoch(store: ControlStore) -> None:
    with store.read() as tx:
        assert tx.epoch() == 1


def test_a_node_comes_back_as_it_was_stored(store: ControlStore) -> None:
    with store.write() as tx:
        tx.nodes.put(a_node())
    with store.read() as tx:
        assert tx.nodes.get(NODE) == a_node()
        assert tx.nodes.all() == (a_node(),)
        assert tx.nodes.get(OTHER) is None


def test_a_node_that_never_connected_comes_back_with_nothing_known(store: ControlStore) -> None:
    new = Node(NODE, "store-12", "cam-3", {}, Facts(), NOW)
    with store.write() as tx:
        tx.nodes.put(new)
    with store.read() as tx:
        assert tx.nodes.get(NODE) == new


def test_storing_a_known_node_again_changes_it(store: ControlStore) -> None:
    renamed = replace(a_node(), name="cam-4")
    with store.write() as tx:
        tx.nodes.put(a_node())
        tx.nodes.put(renamed)
        assert tx.nodes.all() == (renamed,)


def test_two_nodes_cannot_have_one_name_at_a_site(store: ControlStore) -> None:
    with store.write() as tx:
        tx.nodes.put(a_node(NODE))
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        tx.nodes.put(a_node(OTHER))


def test_times_are_aware_and_utc_whatever_zone_they_came_in(store: ControlStore) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with store.write() as tx:
        tx.nodes.put(replace(a_node(), registered_at=there))
        found = tx.nodes.get(NODE)
    assert found is not None
    assert found.registered_at == NOW
    assert found.registered_at.utcoffset() == timedelta(0)


def test_a_naive_time_is_refused(store: ControlStore) -> None:
    with pytest.raises(sa.exc.StatementError, match="no time zone"), store.write() as tx:
        tx.nodes.put(replace(a_node(), registered_at=NOW.replace(tzinfo=None)))


def test_a_document_goes_with_its_node(store: ControlStore) -> None:
    issued = Issued(NODE, 2**40, 2**50, digest_of(b"d"), b'{"\x00":1}')
    with store.write() as tx:
        tx.nodes.put(a_node())
        tx.documents.put(issued)
        assert tx.documents.get(NODE) == issued
        assert tx.documents.all() == {NODE: issued}
        tx.nodes.remove(NODE)
        assert tx.documents.get(NODE) is None


def test_a_newer_document_takes_the_place_of_the_old(store: ControlStore) -> None:
    with store.write() as tx:
        tx.nodes.put(a_node())
        for revision in (1, 2):
            tx.documents.put(Issued(NODE, 1, revision, digest_of(b"%d" % revision), b"%d" % revision))
        assert {issued.revision for issued in tx.documents.all().values()} == {2}


def test_a_version_comes_back_as_it_was_stored(store: ControlStore) -> None:
    with store.write() as tx:
        assert tx.versions.take_number("mobilenet") == 1
        tx.versions.add(a_version())
    with store.read() as tx:
        assert tx.versions.get("mobilenet", 1) == a_version()
        assert tx.versions.with_digest("mobilenet", a_version().digest) == a_version()
        assert tx.versions.digest_of("mobilenet", 1) == a_version().digest
        assert tx.versions.digest_of("mobilenet", 2) is None
        assert tx.versions.is_bundle(a_version().digest)
        assert not tx.versions.is_bundle(digest_of(b"labels"))


def test_version_numbers_rise_and_are_never_given_twice(store: ControlStore) -> None:
    with store.write() as tx:
        assert [tx.versions.take_number("a") for _ in range(2)] == [1, 2]
        tx.versions.add(a_version("a", 2))
        tx.versions.remove("a", 2)
        assert tx.versions.take_number("a") == 3
        assert tx.versions.take_number("b") == 1


def test_the_newest_version_is_number_zero(store: ControlStore) -> None:
    with store.write() as tx:
        for number in (1, 2, 10):
            tx.versions.take_number("mobilenet")
            tx.versions.add(a_version("mobilenet", number, b"%d" % number))
        newest = tx.versions.get("mobilenet", 0)
        assert newest is not None
        assert newest.version == 10
        assert [version.version for version in tx.versions.all("mobilenet")] == [1, 2, 10]
        assert tx.versions.all("other") == ()


def test_one_bundle_cannot_be_two_versions_of_a_model(store: ControlStore) -> None:
    with store.write() as tx:
        tx.versions.take_number("mobilenet")
        tx.versions.add(a_version(number=1))
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        tx.versions.add(a_version(number=2))


def test_a_blob_is_referenced_while_any_version_has_it(store: ControlStore) -> None:
    labels, absent = digest_of(b"labels"), digest_of(b"absent")
    with store.write() as tx:
        for number in (1, 2):
            tx.versions.take_number("mobilenet")
            tx.versions.add(a_version("mobilenet", number, b"%d" % number))
        tx.versions.remove("mobilenet", 1)
        assert set(tx.versions.referenced([labels, absent, digest_of(b"1"), digest_of(b"2")])) == {
            labels,
            digest_of(b"2"),
        }


def test_a_deployment_comes_back_with_the_digest_of_its_version(store: ControlStore) -> None:
    with store.write() as tx:
        tx.versions.take_number("mobilenet")
        tx.versions.add(a_version())
        tx.deployments.put(a_deployment("b", after_s=1))
        tx.deployments.put(a_deployment("a", after_s=2))
    with store.read() as tx:
        assert tx.deployments.all() == (a_deployment("b", after_s=1), a_deployment("a", after_s=2))
        assert tx.deployments.get("a") == a_deployment("a", after_s=2)
        assert tx.deployments.get("c") is None
        assert tx.versions.used_by("mobilenet", 1) == ("a", "b")


def test_a_version_in_use_cannot_be_deleted_even_by_mistake(store: ControlStore) -> None:
    with store.write() as tx:
        tx.versions.take_number("mobilenet")
        tx.versions.add(a_version())
        tx.deployments.put(a_deployment())
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        tx.versions.remove("mobilenet", 1)


def test_a_deployment_of_a_version_that_is_not_there_cannot_be_stored(store: ControlStore) -> None:
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        tx.deployments.put(a_deployment())


def test_topics_are_pending_until_cleared_and_again_when_reopened(store: ControlStore) -> None:
    with store.write() as tx:
        tx.retained.add(NODE, ["t/1", "t/2"])
        tx.retained.add(OTHER, ["t/3"])
        assert tx.retained.pending() == ("t/1", "t/2", "t/3")
        tx.retained.cleared(["t/1", "t/3"])
        assert tx.retained.pending() == ("t/2",)
        tx.retained.reopen(NODE)
        assert tx.retained.pending() == ("t/1", "t/2")
        tx.retained.keep(["t/1"])
        assert tx.retained.pending() == ("t/2",)


def test_cleared_topics_of_a_settled_node_are_done_with(store: ControlStore) -> None:
    with store.write() as tx:
        tx.retained.add(NODE, ["t/1", "t/2"])
        tx.retained.cleared(["t/1"])
        tx.retained.settle(NODE)
        tx.retained.reopen(NODE)
        assert tx.retained.pending() == ("t/2",)


def test_a_deleted_node_is_remembered(store: ControlStore) -> None:
    with store.write() as tx:
        assert not tx.retained.is_forgotten(NODE)
        tx.retained.forget(NODE, NOW)
        tx.retained.forget(NODE, NOW)
        assert tx.retained.is_forgotten(NODE)


def test_a_value_that_the_database_cannot_keep_is_refused_in_one_line(store: ControlStore, url: str) -> None:
    node = replace(a_node(), connection=Connection(Presence.ONLINE, "nul \0 nul"))

    def put() -> None:
        with store.write() as tx:
            tx.nodes.put(node)

    if url.startswith("sqlite"):
        put()
        with store.read() as tx:
            assert tx.nodes.get(node.id) == node
    else:
        with pytest.raises(BadInput, match=r"^database postgresql://.*NUL.*$"):
            put()


def test_a_transaction_that_fails_leaves_nothing(store: ControlStore) -> None:
    def fail_half_way() -> None:
        with store.write() as tx:
            tx.nodes.put(a_node())
            raise NotFound

    with pytest.raises(NotFound):
        fail_half_way()
    with store.read() as tx:
        assert tx.nodes.all() == ()


def test_writers_follow_one_another_and_none_fails(store: ControlStore) -> None:
    def count_up() -> None:
        for _ in range(20):
            with store.write() as tx:
                tx.raise_epoch(tx.epoch() + 1)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert tx.epoch() == 81


def test_a_reader_sees_one_state_while_others_write(store: ControlStore) -> None:
    with store.read() as reader:
        before = reader.epoch()
        with store.write() as tx:
            tx.raise_epoch(before + 1)
        assert reader.epoch() == before


@pytest.mark.parametrize(
    ("url", "complaint"),
    [("nonsense", "is not a URL"), ("mysql://host/db", "'mysql' is not supported"), ("", "is not a URL")],
)
def test_a_database_that_is_not_supported_is_refused_in_one_line(url: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        open_engine(url)


def test_a_sqlite_file_in_a_folder_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="unable to open database file"):
        open_engine(sqlite_url(tmp_path / "absent" / "control.db"))


def test_a_postgres_that_is_not_there_is_unreachable_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as raised:
        open_engine(f"postgresql://someone:secret@/db?host={tmp_path}")
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_publishers_signed_is_kept_with_its_version_and_goes_with_it(store: ControlStore) -> None:
    digest = a_version().digest
    with store.write() as tx:
        assert tx.versions.take_number("mobilenet") == 1
        tx.versions.add(a_version())
        assert tx.releases.release("mobilenet", 1) is None
        tx.releases.put_release("mobilenet", 1, b"\x00first")
        tx.releases.put_release("mobilenet", 1, b"\x00second")
        tx.releases.put_downgrade("mobilenet", 1, b"permit")
    with store.read() as tx:
        assert tx.releases.release("mobilenet", 1) == b"\x00second"
        assert tx.releases.of_bundle(digest) == ((b"\x00second",), (b"permit",))
        assert tx.releases.of_bundle(digest_of(b"other")) == ((), ())
    with store.write() as tx:
        tx.versions.remove("mobilenet", 1)
        assert tx.releases.of_bundle(digest) == ((), ())


def test_trust_roots_are_told_in_their_order(store: ControlStore) -> None:
    with store.write() as tx:
        assert (tx.roots.all(), tx.roots.newest_number()) == ((), 0)
        for number in (2, 10, 1):
            tx.roots.add(number, b"%d" % number)
    with store.read() as tx:
        assert (tx.roots.all(), tx.roots.newest_number()) == ((b"1", b"2", b"10"), 10)


def test_a_number_that_was_signed_beforehand_is_taken_where_it_is_above_all_others(store: ControlStore) -> None:
    with store.write() as tx:
        assert tx.versions.take_number("m", 7) == 7
        assert tx.versions.take_number("m") == 8
        assert tx.versions.take_number("m", 8) is None
        assert tx.versions.take_number("m", 3) is None
        assert tx.versions.take_number("m") == 9


def test_whatever_a_node_says_counts_as_a_change_of_it(store: ControlStore) -> None:
    with store.write() as tx:
        tx.nodes.put(a_node())
        first = tx.nodes.changes()
        tx.nodes.put(a_node())
        assert tx.nodes.changes() == {NODE: first[NODE] + 1}
        assert tx.nodes.of((NODE, OTHER)) == (a_node(),)
        assert tx.nodes.of(()) == ()
