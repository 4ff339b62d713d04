"""Reads the addresses that people and coordinators give: of coordinators and of brokers."""

from pathlib import Path

from edge_node.address import host_and_port
from edge_node.config import BrokerLogin, LiveSink, NodeConfig
from edge_node.errors import BadInput, WrongUsage
from protos.broker_url import Broker, parse_broker_url
from protos.errors import ContractError

UNSPECIFIED = ("0.0.0.0", "[::]", "")  # noqa: S104 - compared with, not listened on
"""Hosts that mean: the one that was dialled."""


def check_addresses(config: NodeConfig) -> None:
    """Look at every address that a node is configured with, and at the files that go with it.

    Raises:
        WrongUsage: as the functions below; what a person configured is theirs to correct.
    """
    try:
        if config.coordinator is not None:
            coordinator_address(config.coordinator)
        if config.broker is not None:
            uplink_broker(config.broker, config.uplink)
        live_broker(config.live)
    except BadInput as error:
        raise WrongUsage(str(error)) from None


def coordinator_address(text: str, example: int = 7070) -> str:
    """The `host:port` of a coordinator, checked; `example` is the port that people usually mean.

    Raises:
        BadInput: not host:port.
    """
    host_and_port(text, "coordinator", example=f"127.0.0.1:{example}")
    return text


def at_host_of(dialled: str, told: str) -> str:
    """What a coordinator told, a URL or host:port, with an unspecified host replaced by the one that was dialled.

    `at_host_of("10.0.0.5:7071", "mqtts://0.0.0.0:8883")` is `mqtts://10.0.0.5:8883`.
    """
    head, slashes, place = told.rpartition("//")
    host, colon, port = place.rpartition(":")
    if host not in UNSPECIFIED:
        return told
    return f"{head}{slashes}{dialled.rpartition(':')[0]}{colon}{port}"


def uplink_broker(url: str, login: BrokerLogin) -> Broker:
    """The broker of the uplink; reads the files of the login.

    Raises:
        BadInput: not a broker URL, plaintext off the loopback interface, or a file that cannot be read.
    """
    try:
        return _broker(url, login, "uplink", plaintext=False)
    except ContractError as error:
        raise BadInput(str(error)) from None


def live_broker(sink: LiveSink) -> Broker | None:
    """The site's own broker for live results, None where there is none; reads the files of the login.

    Raises:
        BadInput: as `uplink_broker`.
    """
    if sink.url is None:
        return None
    try:
        return _broker(sink.url, sink, "live", plaintext=sink.plaintext)
    except ContractError as error:
        hint = ", or plaintext = true in [live] for a broker that has no TLS" if "loopback" in str(error) else ""
        raise BadInput(f"live: {error}{hint}") from None


def _broker(url: str, login: BrokerLogin, table: str, *, plaintext: bool) -> Broker:
    password = None
    if login.password_file is not None:
        password = _read(Path(login.password_file), f"{table}.password_file").rstrip("\n")
    for key, file in (("ca_file", login.ca_file), ("cert_file", login.cert_file), ("key_file", login.key_file)):
        if file is not None:
            _read(Path(file), f"{table}.{key}")
    return parse_broker_url(
        url,
        username=login.username,
        password=password,
        ca_file=login.ca_file,
        cert_file=login.cert_file,
        key_file=login.key_file,
        plaintext=plaintext,
    )


def _read(file: Path, key: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{key} {file} cannot be read: {error}") from None
