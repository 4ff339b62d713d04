"""The whole system, killed part by part while results flow: what was accepted is stored once, as it was.

`test_nothing_is_lost.py` kills outbox, broker and collector alone and at higher rates; here the real agent with its
worker and its capture, and the real coordinator, die. The control arm is a QoS 1 subscriber of the same results.
"""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.fleet import CLIP, Child, Fleet, fleet, serving_node, until
from tests.e2e.recorder import Observer, PlainSubscriber, Verdict, id_of, stored, verdict
from tests.integration.brokers import RealMosquitto, free_port, mosquitto
from tests.sizes import times, tried

pytestmark = [pytest.mark.needs("mosquitto", "mosquitto_sub"), pytest.mark.timeout(120)]

LOSSLESS = f"{CLIP},realtime=false"
LIVE_QOS_1 = """\
name: shelf
selector: site=store-12
model: inspection@1
pipelines:
  - {name: shelf, source: shelf, live: {qos: 1}}
"""


@dataclass
class Scene:
    """Everything that may die, and who watches."""

    world: Fleet
    broker: RealMosquitto
    observer: Observer
    coordinator: Child
    node: Child

    @property
    def results(self) -> Path:
        """The results database."""
        return self.world.folder / "coord" / "results.db"

    def accepts(self, more: int) -> None:
        """Wait until the node has accepted so many more."""
        wanted = len(self.observer.accepted) + more
        until(lambda: len(self.observer.accepted) >= wanted, f"{more} more results in the outbox")

    def stores(self, more: int) -> None:
        """Wait until the coordinator has stored so many more."""
        wanted = len(stored(self.results)) + more
        until(lambda: len(stored(self.results)) >= wanted, f"{more} more results in the store")

    def verdict(self) -> Verdict:
        """What the files say now."""
        return verdict(dict(self.observer.accepted), stored(self.results))

    def settle(self) -> None:
        """End the node in good order, then have one without a source hand over what is left."""
        assert self.node.stop() == 0
        self.node = self.world.node("shelf=/nowhere")
        until(lambda: self.verdict().lost == 0, "everything accepted in the store")


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Results flow from a node's lossless film to the coordinator's store, through a broker of the test's own."""
    with mosquitto(folder, persistent(folder)) as broker, fleet(folder) as world:
        url = f"mqtt://127.0.0.1:{broker.port}"
        coordinator = world.coordinate("--broker", url, port=free_port())
        with Observer(folder / "cam-3" / "outbox.db") as observer:
            node = serving_node(world, source=LOSSLESS)
            (folder / "shelf.yaml").write_text(LIVE_QOS_1, encoding="utf-8")
            world.run("edgectl", "deployment", "apply", "shelf.yaml")
            yield Scene(world, broker, observer, coordinator, node)


def persistent(folder: Path) -> str:
    """Mosquitto keeps what it has below the folder."""
    kept = folder / "kept"
    kept.mkdir()
    return f"allow_anonymous true\npersistence true\npersistence_location {kept}/\nmax_queued_messages 0"


def kill_the_agent(scene: Scene) -> None:
    """The agent dies in mid-stream, its worker and its capture with it."""
    scene.accepts(100)
    scene.node.stop(signal.SIGKILL)
    scene.node = scene.world.node(LOSSLESS)
    scene.stores(100)


def kill_the_broker(scene: Scene) -> None:
    """The broker dies and forgets everything; results go on being accepted meanwhile."""
    scene.accepts(100)
    scene.broker.kill()
    scene.accepts(200)
    shutil.rmtree(scene.world.folder / "kept")
    (scene.world.folder / "kept").mkdir()
    scene.broker.start()
    scene.stores(300)


def kill_the_coordinator(scene: Scene) -> None:
    """The coordinator dies in the middle of its commits; results go on being accepted meanwhile."""
    scene.accepts(100)
    scene.coordinator.stop(signal.SIGKILL)
    scene.accepts(200)
    scene.coordinator = scene.world.coordinate("--broker", f"mqtt://127.0.0.1:{scene.broker.port}")
    scene.stores(300)


@pytest.mark.soak
def test_whoever_dies_what_the_agent_accepted_is_stored_once_and_as_it_was(tmp_path: Path) -> None:
    with scene(tmp_path) as running:
        control = PlainSubscriber(running.broker.port, "edge/v1/live/store-12/cam-3/shelf")
        for _ in range(times(1)):
            kill_the_agent(running)
            kill_the_broker(running)
            kill_the_coordinator(running)
            tried["kills of agent, broker and coordinator of a whole system, each"] += 1
        running.settle()
        control.stop()
        found, missed = running.verdict(), running.observer.accepted.keys() - control.heard
        assert (found.lost, found.twice, found.changed) == (0, 0, 0)
        assert found.accepted >= 1000
        assert len(missed) >= 200, "the control arm has what came during the outage: the kills prove nothing"
        assert control.heard <= set(map(id_of, stored(running.results))), "what was seen live is in the store"
        assert not [child.log.name for child in running.world.children if "Traceback" in child.output()]
