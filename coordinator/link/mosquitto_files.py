"""What stands in a Mosquitto's configuration: TLS, identities, and nothing allowed but by the dynamic security plugin.

The same for the one that the coordinator runs and for the folder of `edgectl broker config`. What is not obvious:
`use_username_as_clientid` binds a session to its certificate, so that nobody can take over another's session (and a
certificate has one connection at a time, one stored session); Mosquitto's own `max_queued_messages` silently drops
QoS 1 messages beyond 1,000 for each subscriber, and without `max_queued_bytes` 200,000 of them may be 20 GB. A stored
session is forgotten after a day. `max_packet_size` bounds what is no message too: a SUBSCRIBE, a CONNECT.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from coordinator.errors import BadInput
from coordinator.link.access import AccessTable
from coordinator.link.dynamic_security import document, wanted_state
from coordinator.link.tls import TlsFiles
from protos.topics import MAX_PAYLOAD, Topics

PLUGIN = "mosquitto_dynamic_security.so"
DEBIAN_PLUGIN = f"/usr/lib/x86_64-linux-gnu/{PLUGIN}"
PLUGIN_FOLDERS = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/opt/homebrew/lib",
    "/usr/local/opt/mosquitto/lib",
)

MAX_QUEUED_BYTES = 256 * 1024 * 1024
"""For one subscriber: hours of results for the coordinator, and all that an absent viewer can make the broker keep."""

LISTENER = """\
listener {port} {host}
cafile {ca}
certfile {certificate}
keyfile {key}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
plugin {plugin}
plugin_opt_config_file {rules}
max_queued_messages 200000
max_queued_bytes {max_queued_bytes}
persistent_client_expiration 1d
max_inflight_messages 1000
message_size_limit {max_packet}
max_packet_size {max_packet}
set_tcp_nodelay true
persistence true
persistence_location {store}/
autosave_interval 30
"""


@dataclass(frozen=True)
class Listener:
    """Where it listens and what files it uses, as its configuration names them (absolute, or as a container sees)."""

    port: int
    host: str
    ca: str
    certificate: str
    key: str
    plugin: str
    rules: str
    store: str

    @classmethod
    def below(cls, folder: str, host: str, port: int, plugin: str) -> "Listener":
        """One with all its files in one folder, under the names of `edgectl broker config`."""
        names = ("ca.pem", "server.pem", "server.key")
        ca, certificate, key = (f"{folder}/{name}" for name in names)
        return cls(port, host, ca, certificate, key, plugin, f"{folder}/dynamic-security.json", folder)

    @classmethod
    def of(cls, host: str, port: int, tls: TlsFiles, plugin: str, folder: Path) -> "Listener":
        """One whose rules and messages are kept in a folder."""
        ca, certificate, key = (str(file.resolve()) for file in (tls.ca, tls.certificate, tls.key))
        rules = str(folder.resolve() / "dynamic-security.json")
        return cls(port, host, ca, certificate, key, plugin, rules, str(folder.resolve()))


def listener_lines(listener: Listener) -> str:
    """The lines of mosquitto.conf."""
    return LISTENER.format(**vars(listener), max_packet=2 * MAX_PAYLOAD, max_queued_bytes=MAX_QUEUED_BYTES)


def rules_json(table: AccessTable, topics: Topics) -> str:
    """The plugin's file at the beginning."""
    return json.dumps(document(wanted_state(table, topics)), indent=1) + "\n"


def find_plugin() -> str:
    """The plugin's path: distributions keep it beside their libraries, Debian in a folder named after the machine.

    Raises:
        BadInput: it is not installed.
    """
    for folder in PLUGIN_FOLDERS:
        for pattern in (PLUGIN, f"mosquitto/{PLUGIN}", f"*/{PLUGIN}", f"*/mosquitto/{PLUGIN}"):
            found = sorted(Path(folder).glob(pattern))
            if found:
                return str(found[0])
    raise BadInput(
        f"mosquitto's {PLUGIN} is not installed: it comes with Mosquitto 2.0 of most distributions; "
        'install it, or use own_broker = "embedded"'
    )
