"""A broker of the coordinator's own, where no URL names another: the choice, and what both kinds share.

`auto` takes Mosquitto, as a managed child process, where it is installed, else the one embedded in this process
(docs/adr/0002-embedded-broker.md). Both listen on the loopback interface only, until identities exist.
"""

from pathlib import Path
from typing import Literal, Protocol

from coordinator.errors import BadInput
from coordinator.link.embedded.broker import EmbeddedBroker
from coordinator.link.listening import find_program
from coordinator.link.mosquitto import Mosquitto


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
            BadInput: the port is in use, or the program does not start.
        """

    async def stop(self) -> None:
        """End it."""


def own_broker(choice: Literal["auto", "mosquitto", "embedded"], folder: Path, port: int) -> OwnBroker:
    """The broker that the configuration asks for.

    Args:
        choice: `own_broker` of the configuration.
        folder: the coordinator's folder; Mosquitto's files go below it.
        port: where to listen; 0: any free port.

    Raises:
        BadInput: Mosquitto is asked for by name and not installed.
    """
    found = find_program("mosquitto")
    if choice == "mosquitto" and found is None:
        raise BadInput('own_broker = "mosquitto": mosquitto is not installed: apt install mosquitto, or use "auto"')
    if choice == "embedded" or found is None:
        return EmbeddedBroker(port)
    return Mosquitto(found, folder / "broker", port)
