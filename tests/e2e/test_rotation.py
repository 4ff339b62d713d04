"""The coordinator gets new keys while a node works, and nobody touches the node (drills with real processes)."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from coordinator.folder import Folder, read_signing_key
from protos.command import Command, Verb
from protos.envelope import COMMAND, seal
from protos.identity import NodeId
from tests.e2e.fleet import CLIP, Child, Fleet, fleet, heard, serving_node, until
from tests.e2e.recorder import Observer, stored, verdict
from tests.e2e.test_trust import another, node_log, order, publish
from tests.e2e.watched_coordinator import WATCHED
from tests.integration.brokers import free_port

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub"), pytest.mark.timeout(240)]

LIVE = "edge/v1/live/#"


@dataclass
class Scene:
    """A coordinator that is found where it was, a node that works, and who counts its results."""

    world: Fleet
    ports: tuple[str, ...]
    coordinator: Child
    observer: Observer

    def rotate(self, what: str, step: str, code: int = 0, *options: str) -> str:
        """One step, as a person does it; what it says."""
        return self.world.run("edge-coordinator", "rotate", what, step, "--dir", "coord", *options, code=code)

    def kill(self) -> None:
        """The coordinator dies, and is started again."""
        self.coordinator.stop(signal.SIGKILL)
        self.coordinator = self.world.coordinate(*self.ports, under=WATCHED)

    def push(self, number: int) -> None:
        """The publisher signs a root that was proposed, and puts it in force."""
        file = f"coord/root-{number}.json"
        self.world.run("edgectl", "trust", "sign", file)
        assert f"trust root {number} is in force" in self.world.run("edgectl", "trust", "push", file)

    def follows(self, number: int) -> None:
        """Wait until the node has followed."""
        until(lambda: f"trust root {number} is in force" in node_log(self.world), f"the node to follow root {number}")
        assert self.world.status()["identity"]["trust_root"] == number
        said = f"1 hold root {number}"
        until(lambda: said in self.world.run("edgectl", "trust", "show"), "the coordinator to know that it did")

    def serves(self, version: int) -> None:
        """Deploy another version: what the coordinator says now is believed."""
        self.world.run("edgectl", "model", "push", str(another(self.world, version)))
        order(self.world, version)
        until(lambda: self.world.serving() == {"shelf": version}, f"version {version} to serve")

    def lost_nothing(self) -> None:
        """Every result that the node accepted until now comes into the store, once and as it was."""
        until(lambda: len(self.observer.accepted) > 50, "the node to accept some")
        accepted = dict(self.observer.accepted)
        results = self.world.home / "results.db"
        until(lambda: verdict(accepted, stored(results)).lost == 0, "everything accepted to be stored")
        found = verdict(accepted, stored(results))
        assert (found.twice, found.changed) == (0, 0)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """A fleet with a node that serves version 1."""
    numbers = [str(free_port()) for _ in range(3)]
    ports = ("--port", numbers[0], "--enroll-port", numbers[1], "--broker-port", numbers[2])
    with fleet(folder) as world, Observer(folder / "cam-3" / "outbox.db") as observer:
        coordinator = world.coordinate(*ports, under=WATCHED)
        serving_node(world)
        yield Scene(world, ports, coordinator, observer)


def test_another_signing_key_is_believed_and_a_thief_of_the_old_one_is_not(tmp_path: Path) -> None:
    with scene(tmp_path) as drill:
        world = drill.world
        node = world.status()["node"]
        stolen = tmp_path / "stolen.key"
        shutil.copy(world.home / "keys" / "signing.key", stolen)

        assert "prepare" in drill.rotate("signing-key", "activate", code=4)
        assert "root-2.json" in drill.rotate("signing-key", "prepare")
        assert "does not name the new key" in drill.rotate("signing-key", "activate", code=4)
        drill.kill()
        assert "root-2.json" in drill.rotate("signing-key", "prepare")
        drill.push(2)
        assert "activate" in drill.rotate("signing-key", "status")
        assert "start the coordinator again" in drill.rotate("signing-key", "activate")
        drill.kill()
        drill.follows(2)
        drill.serves(2)

        command(world, node, stolen, "a" * 32)  # the control arm: two keys count
        until(lambda: carried_out(world) == 1, "the thief's command to be carried out")

        assert "root-3.json" in drill.rotate("signing-key", "retire")
        drill.push(3)
        drill.kill()
        drill.follows(3)
        drill.serves(3)
        command(world, node, stolen, "b" * 32)
        until(lambda: "a command was not carried out" in node_log(world), "the thief's command to be refused")
        assert carried_out(world) == 1
        assert "done" in drill.rotate("signing-key", "retire")
        assert "no rotation is under way" in drill.rotate("signing-key", "status")
        drill.lost_nothing()


def test_a_node_that_was_off_while_the_signing_key_changed_follows_when_it_comes_back(tmp_path: Path) -> None:
    with scene(tmp_path) as drill:
        drill.world.children[-1].stop()
        for step, number in (("prepare", 2), ("activate", 0), ("retire", 3)):
            drill.rotate("signing-key", step)
            if number:
                drill.push(number)
            drill.kill()
        drill.world.node(CLIP)
        drill.serves(2)
        drill.lost_nothing()


def test_another_authority_is_followed_by_node_and_subscriber_and_the_old_one_is_refused(tmp_path: Path) -> None:
    with scene(tmp_path) as drill:
        world, old = drill.world, tmp_path / "old"
        world.run("edgectl", "credential", "create", "board", "--role", "viewer", "-o", "board.pem")
        shutil.copytree(world.home / "keys", old)

        assert "root-2.json" in drill.rotate("authority", "prepare")
        drill.kill()
        assert "root-2.json" in drill.rotate("authority", "prepare")
        assert "does not name the new authority" in drill.rotate("authority", "activate", code=4)
        drill.push(2)
        drill.follows(2)
        renew(world, "board.pem", "coord/admin.pem")
        board = world.start("board", "mosquitto_sub", "-t", LIVE, *login(world, tmp_path / "board.pem"))
        until(board.output, "the subscriber to hear")
        assert "start the coordinator again" in drill.rotate("authority", "activate")
        drill.kill()
        assert issuer(world.home / "keys" / "server.pem") != issuer(old / "server.pem")
        heard = len(board.output())
        until(lambda: len(board.output()) > heard + 500, "the subscriber to hear on, of a broker of the new authority")
        assert board.process.poll() is None
        drill.serves(2)

        assert "root-3.json" in drill.rotate("authority", "retire")
        drill.push(3)
        drill.kill()
        drill.follows(3)
        certificate = tmp_path / "cam-3" / "node.pem"
        new = issuer(world.home / "keys" / "server.pem")
        until(lambda: issuer(certificate) == new, "the node's certificate to be of the new authority")
        assert "viewer:board" in drill.rotate("authority", "retire", code=4)
        shutil.copy(tmp_path / "board.pem", tmp_path / "late.pem")
        renew(world, "board.pem", "coord/admin.pem")
        assert hears(world, tmp_path / "late.pem")  # the control arm: a certificate of the old authority still counts
        assert "start the coordinator again" in drill.rotate("authority", "retire")
        drill.kill()
        until(lambda: hears(world, tmp_path / "board.pem"), "who has renewed to hear")
        assert not hears(world, tmp_path / "late.pem")
        drill.serves(3)
        assert "done" in drill.rotate("authority", "retire")
        assert "no rotation is under way" in drill.rotate("authority", "status")
        drill.lost_nothing()


def test_a_node_that_was_off_all_the_while_follows_the_authority_when_it_comes_back(tmp_path: Path) -> None:
    """It trusts only the authority that is gone, and shows a certificate of it: roots and its key bring it back."""
    with scene(tmp_path) as drill:
        drill.world.children[-1].stop()
        drill.rotate("authority", "prepare")
        drill.push(2)
        drill.rotate("authority", "activate")
        drill.kill()
        renew(drill.world, "coord/admin.pem")
        drill.rotate("authority", "retire")
        drill.push(3)
        assert "store-12/cam-3" in drill.rotate("authority", "retire", code=4)
        drill.rotate("authority", "retire", 0, "--force")
        drill.kill()
        drill.world.node(CLIP)
        drill.serves(2)
        drill.lost_nothing()


def renew(world: Fleet, *files: str) -> None:
    """Everybody gets a new credential."""
    for file in files:
        assert "is new" in world.run("edgectl", "credential", "renew", file)


def issuer(certificate: Path) -> str:
    """Who signed the certificate in a file."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).issuer.rfc4514_string()


def login(world: Fleet, credential: Path) -> tuple[str, ...]:
    """How a program with a credential, and nothing else, logs in at the broker."""
    files = ("--cafile", credential, "--cert", credential, "--key", credential)
    return ("-h", "127.0.0.1", "-p", str(world.broker_port), *map(str, files))


def hears(world: Fleet, credential: Path) -> bool:
    """Whether who has the credential hears results."""
    return bool(heard(LIVE, *login(world, credential), "-C", "1", "-W", "5"))


def command(world: Fleet, node: str, key_file: Path, nonce: str) -> None:
    """Order what a coordinator orders, with a key."""
    now = datetime.now(UTC)
    ordered = Command(NodeId(node), nonce, now, now + timedelta(minutes=1), Verb.LOGS)
    key = read_signing_key(Folder(world.home), key_file)
    publish(world, f"edge/v1/nodes/{node}/commands/{nonce}", seal(COMMAND, msgspec.json.encode(ordered), key))


def carried_out(world: Fleet) -> int:
    """How many commands the node has carried out."""
    return node_log(world).count("supervisor.commands: command logs")
