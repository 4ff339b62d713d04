"""One suite for the rows of identity on SQLite and PostgreSQL: join tokens, certificates, the deny-list."""

import contextlib
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from coordinator.db.control import ControlStore
from coordinator.fleet.records import IssuedCertificate, JoinTokenRecord, Revocation
from protos.identity import NodeId

NOW = datetime(2026, 5, 1, 10, 0, 0, 123456, UTC)
NODE = NodeId("a" * 32)
OTHER = NodeId("b" * 32)


def a_token(digest: str = "d" * 64, after_s: int = 0) -> JoinTokenRecord:
    """A token that nobody used."""
    made = NOW + timedelta(seconds=after_s)
    labels = {"tier": "pröd", "nearfield.io/gpu": ""}
    return JoinTokenRecord(digest, "store-12", "cam-3", labels, OTHER, "admin:alice", made, made + timedelta(days=1))


def test_tokens_come_back_as_they_went_in_the_newest_first(store: ControlStore) -> None:
    first, second = a_token("1" * 64), replace(a_token("2" * 64, after_s=5), name=None, replaces=None, labels={})
    with store.write() as tx:
        tx.join_tokens.add(first)
        tx.join_tokens.add(second)
    with store.read() as tx:
        assert tx.join_tokens.all() == (second, first)
        assert tx.join_tokens.get("1" * 64) == first
        assert tx.join_tokens.get("3" * 64) is None


def test_a_token_is_used_once(store: ControlStore) -> None:
    with store.write() as tx:
        tx.join_tokens.add(a_token())
        assert tx.join_tokens.use(a_token().digest, NODE, NOW)
        assert not tx.join_tokens.use(a_token().digest, OTHER, NOW)
        assert not tx.join_tokens.use("x", NODE, NOW)
    with store.read() as tx:
        used = tx.join_tokens.of_node(NODE)
        assert used == replace(a_token(), used_at=NOW, node=NODE)
        assert tx.join_tokens.of_node(OTHER) is None


def test_of_writers_that_use_one_token_at_once_one_wins(store: ControlStore) -> None:
    with store.write() as tx:
        tx.join_tokens.add(a_token())
    won: list[int] = []

    def use(number: int) -> None:
        with store.write() as tx:
            if tx.join_tokens.use(a_token().digest, NodeId(f"{number:032x}"), NOW):
                won.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_use_that_does_not_commit_leaves_the_token_as_it_was(store: ControlStore) -> None:
    with store.write() as tx:
        tx.join_tokens.add(a_token())
    with contextlib.suppress(RuntimeError), store.write() as tx:
        assert tx.join_tokens.use(a_token().digest, NODE, NOW)
        raise RuntimeError("killed")
    with store.write() as tx:
        assert tx.join_tokens.get(a_token().digest) == a_token()
        tx.join_tokens.remove(a_token().digest)
        assert tx.join_tokens.all() == ()


def test_of_a_principals_certificates_the_newest_is_kept(store: ControlStore) -> None:
    old = IssuedCertificate("admin:alice", "1f", "sha256:a", NOW, NOW, b"\x00pem")
    new = replace(old, serial="2f", pem=b"other")
    with store.write() as tx:
        tx.certificates.put(old)
        tx.certificates.put(new)
    with store.read() as tx:
        assert tx.certificates.all() == (new,)
        assert tx.certificates.get("admin:alice") == new
        assert tx.certificates.get("admin:bob") is None


def test_a_revocation_is_for_good_and_the_first_one_counts(store: ControlStore) -> None:
    first = Revocation(NODE, NOW, "admin:alice", "stölen")
    with store.write() as tx:
        tx.revoked.add(first)
        tx.revoked.add(replace(first, reason="again"))
        tx.revoked.add(replace(first, principal="viewer:dash", at=NOW + timedelta(seconds=1)))
    with store.read() as tx:
        assert tx.revoked.get(NODE) == first
        assert tx.revoked.get(OTHER) is None
        assert [revocation.principal for revocation in tx.revoked.all()] == ["viewer:dash", NODE]
