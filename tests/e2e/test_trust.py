"""Who can make a node run what (U4, U8): drills with a stolen coordinator, a stolen broker, rotated keys, a backup."""

import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.folder import Folder, read_signing_key
from protos.command import Command, Verb
from protos.digest import Digest
from protos.envelope import COMMAND, DOWNGRADE, RELEASE, TRUST_ROOT, public_bytes, seal, unverified
from protos.identity import NodeId
from protos.release import Downgrade, Release, encode
from protos.trust import Signer, TrustRoot, encode_root, read_root
from tests.e2e.fleet import CLIP, INSPECTION, Fleet, deployment, fleet, serving_node, until
from tests.e2e.watched_coordinator import WATCHED

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub"), pytest.mark.timeout(240)]


def another(world: Fleet, number: int) -> Path:
    """The demo's bundle with other content: the next version."""
    folder = world.folder / f"bundle-{number}"
    shutil.copytree(INSPECTION, folder)
    toml = folder / "model.toml"
    toml.write_text(
        toml.read_text(encoding="utf-8").replace("p95_ms = 50", f"p95_ms = {50 + number}"), encoding="utf-8"
    )
    return folder


def order(world: Fleet, version: int) -> None:
    world.run("edgectl", "deployment", "apply", "--now", str(deployment(world, f"inspection@{version}")))


def failure(world: Fleet) -> str:
    """Why the deployment failed on the node, empty where it did not."""
    found = (one["reason"] for one in world.status().get("deployments", ()) if one["phase"] == "failed")
    return str(next(found, ""))


def upgraded(world: Fleet) -> None:
    """A node that has proven version 2."""
    world.coordinate()
    serving_node(world)
    world.run("edgectl", "model", "push", str(another(world, 2)))
    order(world, 2)
    until(lambda: world.serving() == {"shelf": 2}, "version 2 to serve")
    until(lambda: '"inspection":2' in floors(world), "version 2 to have passed its probation")


def same_ports(world: Fleet) -> tuple[str, ...]:
    """Options by which a coordinator that is started again is found by its nodes."""
    return ("--port", world.address.rpartition(":")[2], "--broker-port", str(world.broker_port))


def floors(world: Fleet) -> str:
    file = world.folder / "cam-3" / "floors.json"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def test_a_downgrade_takes_the_publisher_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        upgraded(world)
        order(world, 1)
        assert "only the publisher can order a downgrade" in until(lambda: failure(world), "version 1 to be refused")
        assert world.serving() == {"shelf": 2}
        world.children[-1].stop()
        world.node(CLIP)
        until(lambda: world.serving() == {"shelf": 2}, "the last good version after a restart")
        said = world.run("edgectl", "model", "permit-downgrade", "inspection@1", "--below", "2")
        assert "may go back to version 1" in said
        until(lambda: world.serving() == {"shelf": 1}, "version 1 to serve by a permit")


def test_a_version_that_nobody_signed_cannot_be_deployed(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        stranger = world.folder / "stranger.key"
        world.run("edgectl", "key", "create", str(stranger))
        complaint = world.run("edgectl", "model", "push", str(INSPECTION), "--key", str(stranger), code=4)
        assert "no publisher of trust root 1 has signed this" in complaint
        complaint = world.run("edgectl", "deployment", "apply", str(deployment(world, "inspection@1")), code=4)
        assert "inspection@1 is not released" in complaint
        release = world.folder / "release.json"
        offline = ("edgectl", "model", "sign", str(INSPECTION), "--version", "7", "-o", str(release))
        assert "inspection@7" in world.run(*offline)
        complaint = world.run("edgectl", "model", "push", str(INSPECTION), "--release", str(release), code=1)
        assert "a release of inspection@7, not of inspection@1" in complaint
        second = another(world, 2)
        world.run("edgectl", "model", "sign", str(second), "--version", "9", "-o", str(world.folder / "nine.json"))
        assert "version 9" in world.run(
            "edgectl", "model", "push", str(second), "--release", str(world.folder / "nine.json")
        )


def test_a_stolen_coordinator_invents_no_model_and_orders_no_downgrade(tmp_path: Path) -> None:
    """Whoever has the coordinator, its signing key and its database has everything but the publisher's key."""
    with fleet(tmp_path) as world:
        upgraded(world)
        until(lambda: world.status()["outbox"]["acked"] > 0, "a first acknowledgement")
        (world.home / "keys" / "publisher.key").rename(world.folder / "elsewhere.key")
        stranger = world.folder / "stranger.key"
        world.run("edgectl", "key", "create", str(stranger))
        world.run("edgectl", "model", "push", str(another(world, 3)), "--key", str(stranger), code=4)
        world.children[0].stop()
        forge(world)
        world.coordinate(*same_ports(world))
        order(world, 3)  # the coordinator believes its own database
        until(lambda: "inspection@3" in failure(world), "the invented version to be refused")
        order(world, 1)
        until(lambda: "only the publisher" in failure(world), "the forged permit to be refused")
        assert world.serving() == {"shelf": 2}


def forge(world: Fleet) -> None:
    """Write into the database what would make it all valid: signed with the keys that a thief has."""
    thief, own = Ed25519PrivateKey.generate(), read_signing_key(Folder(world.home))
    now = datetime.now(UTC)
    with sqlite3.connect(world.home / "coordinator.db") as database:
        digests = dict(database.execute("SELECT version, digest FROM versions"))
        held = read_root(unverified(database.execute("SELECT envelope FROM trust_roots").fetchone()[0], TRUST_ROOT))
        publishers = (*held.publishers, Signer("thief", public_bytes(thief)))
        root = TrustRoot(2, publishers, 1, held.coordinators, held.authorities, now, now + timedelta(days=9))
        invented = Release("inspection", 3, Digest(digests[3]), now)
        permit = Downgrade("inspection", 1, Digest(digests[1]), 9, now, now + timedelta(days=9))
        signed = ((TRUST_ROOT, encode_root(root)), (RELEASE, encode(invented)), (DOWNGRADE, encode(permit)))
        envelopes = [seal(kind, payload, thief, own) for kind, payload in signed]
        database.execute("INSERT INTO trust_roots VALUES (2, ?)", (envelopes[0],))
        database.execute("INSERT OR REPLACE INTO releases VALUES ('inspection', 3, ?)", (envelopes[1],))
        database.execute("INSERT OR REPLACE INTO downgrades VALUES ('inspection', 1, ?)", (envelopes[2],))


def test_a_stolen_broker_replays_no_state_runs_no_command_and_erases_no_outbox(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate(under=WATCHED)
        serving_node(world)
        node = world.status()["node"]
        desired, acked = f"edge/v1/nodes/{node}/desired", f"edge/v1/nodes/{node}/acked"
        assert "adopted" in world.run("edgectl", "node", "logs", "cam-3")
        old = world.retained()[desired]
        world.run("edgectl", "model", "push", str(another(world, 2)))
        order(world, 2)
        until(lambda: world.serving() == {"shelf": 2}, "version 2 to serve")

        publish(world, desired, old)
        until(lambda: "is older than the adopted" in node_log(world), "the old document to be refused")
        for nonce, seconds in (("a" * 32, 60), ("a" * 32, 60), ("b" * 32, -1)):
            publish(world, f"edge/v1/nodes/{node}/commands/{nonce}", recorded(world, node, nonce, seconds))
        until(lambda: "was carried out before" in node_log(world), "the command to be refused")
        until(lambda: "came too late" in node_log(world), "the stale command to be refused")
        assert node_log(world).count("supervisor.commands: command logs") == 2
        before = world.status()["outbox"]["last_seq"]
        for forged in (b"{}", world.retained()[acked][:-20], seal("x", b"{}", Ed25519PrivateKey.generate())):
            publish(world, acked, forged)
        until(lambda: world.status()["outbox"]["last_seq"] > before + 20, "results to go on")
        assert world.serving() == {"shelf": 2}
        until(lambda: '"broker_connected": true' in world.run("edgectl", "status", "--json"), "the broker to be back")
        assert "link.connected: True" in world.run("edgectl", "node", "diagnostics", "cam-3")
        assert world.status()["outbox"]["dropped"] == {}


def recorded(world: Fleet, node: str, nonce: str, seconds: int) -> bytes:
    """A command as the coordinator has signed one, which counts for so many seconds more."""
    now = datetime.now(UTC)
    command = Command(NodeId(node), nonce, now - timedelta(minutes=1), now + timedelta(seconds=seconds), Verb.LOGS)
    return seal(COMMAND, msgspec.json.encode(command), read_signing_key(Folder(world.home)))


def node_log(world: Fleet) -> str:
    """Everything that the node has said."""
    return next(child for child in world.children if child.log.name.startswith("cam-3")).output()


def publish(world: Fleet, topic: str, payload: bytes) -> None:
    """Publish as the broker itself could."""
    command = ["mosquitto_pub", *world.observer_login(), "-t", topic, "-q", "1", "-s"]
    subprocess.run(command, input=payload, check=True, timeout=30)


def test_publishers_change_and_connected_nodes_follow(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        serving_node(world)
        alice, old = world.folder / "alice.key", world.home / "keys" / "publisher.key"
        world.run("edgectl", "key", "create", str(alice))
        added, removed = ("--add-publisher", f"{alice}.pub"), ("--remove-publisher", "publisher")
        world.run("edgectl", "trust", "update", *added, *removed, "-o", "root.json")
        assert "still needs" in world.run("edgectl", "trust", "push", "root.json", code=1)
        world.run("edgectl", "trust", "sign", "root.json", "--key", str(old))
        world.run("edgectl", "trust", "sign", "root.json", "--key", str(alice))
        assert "trust root 2 is in force" in world.run("edgectl", "trust", "push", "root.json")
        until(lambda: "trust root 2 is in force" in node_log(world), "the node to follow")
        second = str(another(world, 2))
        assert "no publisher of trust root 2" in world.run(
            "edgectl", "model", "push", second, "--key", str(old), code=4
        )
        assert "signed by alice" in world.run("edgectl", "model", "push", second, "--key", str(alice))
        order(world, 2)
        until(lambda: world.serving() == {"shelf": 2}, "the version that the new publisher signed")


def test_a_coordinator_restored_from_a_backup_is_accepted_again(tmp_path: Path) -> None:
    """Nodes hold newer documents than it has issued: it goes on in a higher epoch."""
    with fleet(tmp_path) as world:
        world.coordinate()
        serving_node(world)
        ports = same_ports(world)
        world.children[0].stop()
        shutil.copytree(world.home, world.folder / "backup")
        world.coordinate(*ports)
        world.run("edgectl", "node", "rename", "cam-3", "cam-4")
        until(lambda: world.status()["name"] == "cam-4", "a newer document than the backup knows")
        held = world.status()["epoch"], world.status()["revision"]
        world.children[-1].stop()
        shutil.rmtree(world.home)
        (world.folder / "backup").rename(world.home)
        world.coordinate(*ports)
        until(lambda: world.status()["epoch"] > held[0], "the epoch to rise")
        world.run("edgectl", "model", "push", str(another(world, 2)))
        order(world, 2)
        until(lambda: world.serving() == {"shelf": 2}, "an order of the restored coordinator to be carried out")
