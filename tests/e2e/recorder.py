"""Records what a node accepts and what a coordinator stores, from the files themselves: nobody's counters are believed.

A result is accepted once it is committed in the node's outbox: another process sees it there then, and not before.
"""

import contextlib
import json
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

Id = tuple[str, int]
"""A stream and a number."""
LOOK_S = 0.01


class Observer:
    """Reads a node's outbox over and over, beside the agent and through its deaths."""

    def __init__(self, outbox: Path) -> None:
        self.accepted: dict[Id, bytes] = {}
        self._outbox = outbox
        self._newest: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="observer")

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_S):
            with contextlib.suppress(sqlite3.OperationalError):  # not made yet, or locked: the next look sees it
                self._look()

    def _look(self) -> None:
        with contextlib.closing(sqlite3.connect(f"file:{self._outbox}?mode=rw", uri=True)) as file:
            ((stream,),) = file.execute("SELECT stream FROM state").fetchall()
            newest = self._newest.get(stream, 0)
            query = "SELECT seq, body FROM records WHERE seq > ? AND reason IS NULL ORDER BY seq"
            for seq, body in file.execute(query, (newest,)):
                self.accepted[stream, seq] = body
                self._newest[stream] = seq


class PlainSubscriber:
    """The control arm: QoS 1, a persistent session, and nothing else."""

    def __init__(self, port: int, topic: str) -> None:
        self.heard: set[Id] = set()
        self._client = Client(CallbackAPIVersion.VERSION2, "plain", clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.heard.add(id_of(bytes(message.payload)))


@dataclass(frozen=True)
class Verdict:
    """Of what was accepted: how much the store does not have, has twice, or has with other content."""

    accepted: int
    lost: int
    twice: int
    changed: int


def id_of(event: bytes) -> Id:
    """The stream and number of an event."""
    data = json.loads(event)["data"]
    return data["stream"], data["seq"]


def stored(results: Path) -> list[bytes]:
    """Every result's event in a results database, read with the standard library alone."""
    with contextlib.closing(sqlite3.connect(f"file:{results}?mode=ro", uri=True)) as file:
        names = file.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'results_[0-9]*'")
        return [event for (name,) in names.fetchall() for (event,) in file.execute(f"SELECT event FROM {name}")]


def verdict(accepted: dict[Id, bytes], events: list[bytes]) -> Verdict:
    """Compare; only `late` may differ, for it says how a result came."""
    there = {id_of(event): event for event in events}
    times = Counter(map(id_of, events))
    return Verdict(
        accepted=len(accepted),
        lost=sum(1 for one in accepted if one not in there),
        twice=sum(1 for count in times.values() if count > 1),
        changed=sum(1 for one, event in accepted.items() if one in there and _content(there[one]) != _content(event)),
    )


def _content(event: bytes) -> bytes:
    return event.replace(b'"late":true', b'"late":false')
