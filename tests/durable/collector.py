"""A coordinator reduced to its collector, with the relay of live results, until it is killed.

    python -m tests.durable.collector DATABASE_URL PORT SIGNING_KEY_HEX --tls CA CERTIFICATE KEY

Prints `ready` when it has subscribed. `--plain` is the control arm: acknowledge to the broker what has arrived, write
it a little later, as everyone does first.
"""

import argparse
import asyncio
import sqlite3
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.db.results_database import open_results
from coordinator.link.broker import BrokerClient
from coordinator.results.ingest import Collector
from coordinator.results.live_places import LivePlace
from coordinator.results.relay import Relay
from coordinator.results.tail import TailHub
from protos.broker_url import Broker
from protos.principal import BROKER_NAME
from protos.topics import Kind, Topics

TOPICS = Topics()
PLACE = LivePlace("store-12", "cam-3", {"shelf": 0})


async def run(arguments: argparse.Namespace) -> None:
    """The collector, wired as the coordinator wires it."""
    database = open_results(arguments.database, keep_days=30)
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(arguments.key))
    client = BrokerClient(broker_of(arguments), on_connected=ready)
    relay = Relay(client.publish, TOPICS, lambda _: PLACE)
    collector = Collector(database.repository, client.publish, TOPICS, key, TailHub(), relay=relay)
    client.subscribe(TOPICS.from_all_nodes(Kind.DURABLE), 1, collector.receive)
    collector.start()
    await client.start()
    await asyncio.Event().wait()


def broker_of(arguments: argparse.Namespace) -> Broker:
    """The world's broker, with a certificate for it."""
    ca, certificate, key = arguments.tls
    files = {"ca_file": ca, "cert_file": certificate, "key_file": key}
    return Broker("127.0.0.1", arguments.port, tls=True, server_name=BROKER_NAME, **files)


def ready() -> None:
    """Tell who started it."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


async def run_plain(arguments: argparse.Namespace) -> None:
    """The control arm."""
    table = sqlite3.connect(arguments.database.removeprefix("sqlite:///"), isolation_level=None)
    table.execute("CREATE TABLE IF NOT EXISTS results_19700101 (event BLOB)")
    waiting: list[bytes] = []
    client = BrokerClient(broker_of(arguments), on_connected=ready)
    client.subscribe(
        TOPICS.from_all_nodes(Kind.DURABLE), 1, lambda _topic, payload, _retained: waiting.append(payload[1:-1])
    )
    await client.start()
    while True:
        await asyncio.sleep(0.3)
        events = [(waiting.pop(0),) for _ in range(len(waiting))]
        table.executemany("INSERT INTO results_19700101 VALUES (?)", events)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("database")
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("--tls", nargs=3, required=True, metavar=("CA", "CERTIFICATE", "KEY"))
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(run_plain(arguments) if arguments.plain else run(arguments))


if __name__ == "__main__":
    main()
