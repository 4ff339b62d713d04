"""A broker of the coordinator's own, where no URL names another: the choice, and what both kinds share.

`auto` takes Mosquitto, as a managed child process, where it is installed, else the one embedded in this process
(docs/adr/0002-embedded-broker.md). Both speak TLS only, let in nobody without a certificate of the coordinator's
authority, and keep to the rules of `access.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from coordinator.errors import BadInput
from coordinator.link.access import AccessTable
from coordinator.link.embedded.broker import EmbeddedBroker
from coordinator.link.listening import find_program
from coordinator.link.mosquitto import Mosquitto
from coordinator.link.tls import TlsFiles
from protos.topics import Topics


class OwnBroker(Protocol):
    """A broker that lives as long as the coordinator."""

    @property
    def kind(self) -> Literal["managed", "embedded"]:
        """How it runs."""

    @property
    def url(self) -> str:
        """Where it listens; with port 0 known after `start`."""

    async def start(self) -> None:
        """Run it; returns when it accepts connections.

        Raises:
            BadInput: the port is in use, its certificate cannot be used, or the program does not start.
        """

    async def stop(self) -> None:
        """End it."""

    def set_access(self, table: AccessTable) -> None:
        """Other rules, where the broker asks this process for them. Thread-safe; at once."""

    def renew(self) -> None:
        """Its certificate's files are new.

        Raises:
            BadInput: they cannot be used; the old ones stay.
        """


@dataclass(frozen=True)
class BrokerSettings:
    """What both kinds need.

    `port` 0 is any free one; `folder` is where Mosquitto keeps its files; `table` are the rules to begin with.
    """

    folder: Path
    host: str
    port: int
    tls: TlsFiles
    topics: Topics
    table: AccessTable


def own_broker(choice: Literal["auto", "mosquitto", "embedded"], settings: BrokerSettings) -> OwnBroker:
    """The broker that the configuration asks for (`own_broker`).

    Raises:
        BadInput: Mosquitto is asked for by name and not installed.
    """
    found = find_program("mosquitto")
    host, port, tls = settings.host, settings.port, settings.tls
    if choice == "mosquitto" and found is None:
        raise BadInput('own_broker = "mosquitto": mosquitto is not installed: apt install mosquitto, or use "auto"')
    if choice == "embedded" or found is None:
        return EmbeddedBroker(host, port, tls, settings.table, settings.topics)
    return Mosquitto(found, settings.folder, host, port, tls, settings.table, settings.topics)
