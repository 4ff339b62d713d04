"""The node's own configuration: `edge-node.toml` and the command line.

What only the device may know stays here: the paths, URLs and passwords of its sources. Keys are documented in
docs/reference/node.md.
"""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edge_node.errors import BadInput, WrongUsage
from edge_node.rungs import EngineSettings
from protos.errors import ContractError
from protos.identity import checked_name
from protos.reported import LiveWay
from protos.strict import convert

MOST_THREADS = 256
"""LiteRT dies where the system refuses it a thread."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A source of frames.

    `url` is a photo, a folder of photos, a video file, a camera device (/dev/video0) or an rtsp:// address. `fps`
    caps the rate; `loop` begins a file again at its end; `realtime` plays a file at its own pace and drops what
    nobody takes in time (without it every frame of a file is kept and the file waits for the slowest pipeline).
    """

    url: str
    fps: Annotated[float, msgspec.Meta(gt=0)] | None = None
    loop: bool = False
    realtime: bool = True


class BrokerLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How the node logs in to a broker: a user name and a password, a certificate and its key, or both. PEM files."""

    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class LiveSink(BrokerLogin, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where live results go. `url`, mqtt://host:port or mqtts://host:port, is a broker of the site's own, and the rest
    but `uplink` is how to use it; `plaintext` lets results and password pass the site's network in the clear.

    Without a `url`, `uplink` says who publishes them at the coordinator's broker: the coordinator, from what it has
    committed ("relayed": each result leaves once), or the node ("direct": each result leaves twice).
    """

    url: str | None = None
    plaintext: bool = False
    uplink: Literal["relayed", "direct"] = "relayed"


class OutboxLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The bounds of what waits on disk, and what goes first when they are reached."""

    max_bytes: Annotated[int, msgspec.Meta(gt=0)] = 256 * 1024 * 1024
    max_age_s: Annotated[float, msgspec.Meta(gt=0)] = 7 * 24 * 3600.0
    policy: Literal["drop_oldest", "drop_newest", "drop_lowest_priority"] = "drop_oldest"


class EgressLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What stays on this device although the egress contract lets it leave. None of these lets more leave.

    `live` and `metrics` false keep these kinds here; `tensor_bytes` is the most that any deployment may declare, 0:
    none; `max_kbit_s` holds results, metrics and progress back where more would leave on average.
    """

    live: bool = True
    metrics: bool = True
    tensor_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_kbit_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


def live_way(live: LiveSink, egress: EgressLimits) -> LiveWay:
    """How a node's live results reach their subscribers, as its facts say it. Pure."""
    if not egress.live:
        return "off"
    return live.uplink if live.url is None else "site"


class WorkerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds a worker process. `memory_mb` is of its own memory: default ¾ of the device, 0: no limit."""

    sandbox: Literal["auto", "require", "off"] = "auto"
    memory_mb: Annotated[int, msgspec.Meta(ge=0)] | None = None
    load_s: Annotated[float, msgspec.Meta(gt=0)] = 120.0
    infer_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What models may take on the disk: `quota_mb` is what all of them have together before old versions go, those
    first that were not used for the longest time. What a deployment runs or may fall back on stays, whatever it takes.
    """

    quota_mb: Annotated[int, msgspec.Meta(ge=0)] = 2048


class ClientLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one client may do at the ports of `[serving]`: a key, a certificate, else an address. 0: no limit.

    None: 0 where only this device asks, else `BEYOND_LOOPBACK`. `connections` are of an address, over HTTP.
    """

    requests_per_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    burst: Annotated[int, msgspec.Meta(ge=0)] | None = None
    concurrent: Annotated[int, msgspec.Meta(ge=0)] | None = None
    connections: Annotated[int, msgspec.Meta(ge=0)] | None = None


BEYOND_LOOPBACK = ClientLimits(requests_per_s=200.0, burst=50, concurrent=16, connections=64)


class LocalServing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How clients are answered from this device's models, over the Open Inference Protocol.

    `enabled`: without it the deployments say; true: every deployed model; false: none, whatever a deployment says.
    `grpc`, `http` and `metrics` are HOST:PORT; an empty one stays closed. A port that other machines reach speaks TLS
    (`tls_cert` and `tls_key`, or `self_signed`) and takes only who shows a key of `key_file` or a certificate of
    `client_ca`; `require_key` asks the same of clients on this device. `principals` are the scopes of certificates.
    """

    enabled: bool | None = None
    grpc: str = "127.0.0.1:8001"
    http: str = "127.0.0.1:8000"
    metrics: str = "127.0.0.1:8002"
    tls_cert: str | None = None
    tls_key: str | None = None
    self_signed: bool = False
    client_ca: str | None = None
    key_file: str | None = None
    require_key: bool = False
    principals: dict[str, tuple[Literal["infer", "admin"], ...]] = {}
    sandbox: Literal["auto", "require", "off"] = "auto"
    request_mb: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    limits: ClientLimits = ClientLimits()


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that the agent reads from outside.

    `name` is what the device would like to be called when it is enrolled; `token_file` holds the join token that it
    uses then. `coordinator` is host:port of its gRPC; without it the address of the last time is tried, then zeroconf.
    `broker` overrides the broker that the coordinator names; `uplink` is the login there. `isolation` is "process"
    (capture and workers are processes) or "thread".
    """

    state_dir: str
    name: str = ""
    token_file: str | None = None
    labels: dict[str, str] = {}
    coordinator: str | None = None
    broker: str | None = None
    uplink: BrokerLogin = BrokerLogin()
    isolation: Literal["process", "thread"] = "process"
    sources: dict[str, Source] = {}
    live: LiveSink = LiveSink()
    outbox: OutboxLimits = OutboxLimits()
    egress: EgressLimits = EgressLimits()
    worker: WorkerSettings = WorkerSettings()
    store: StoreSettings = StoreSettings()
    serving: LocalServing = LocalServing()
    engines: EngineSettings = EngineSettings()
    threads: Annotated[int, msgspec.Meta(ge=1, le=MOST_THREADS)] = 1
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"


def default_state_dir(name: str) -> Path:
    """Where a node of this name, or the only one, keeps its state unless told otherwise: below XDG_STATE_HOME."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return home / "nearfield" / (name or "node")


def read_config(
    file: Path | None, overrides: dict[str, object], default_dir: Callable[[str], Path] = default_state_dir
) -> NodeConfig:
    """The configuration of a file with the command line's values on top.

    Args:
        file: a TOML file, or None.
        overrides: keys of `NodeConfig`; None values are left out, `sources` and `live` are merged key by key.
        default_dir: the state folder of a name, which may be empty, where none is given.

    Raises:
        BadInput: no such file, not TOML, an unknown key (the nearest is named), a bad name.
        WrongUsage: the same where there is no file, so that it came from the command line.
    """
    document = {} if file is None else _toml(file)
    given = {key: value for key, value in overrides.items() if value is not None}
    merged = {**document, **given}
    for key in ("sources", "live"):
        if key in given and isinstance(before := document.get(key, {}), dict):
            merged[key] = {**before, **given[key]}  # type: ignore[dict-item]
    merged.setdefault("state_dir", str(default_dir(str(merged.get("name", "")))))
    try:
        return _checked(merged, "the command line" if file is None else str(file))
    except ContractError as error:
        wrong = WrongUsage if file is None else BadInput
        raise wrong(str(error)) from None


def _checked(document: dict[str, Any], where: str) -> NodeConfig:
    if isinstance(sources := document.get("sources", {}), dict):
        for name, source in sources.items():  # one by one, for the complaint to name the source
            convert(source, Source, f"{where}: sources.{name}")
            checked_name(name, "source name")
    config = convert(document, NodeConfig, where)
    if config.name:
        checked_name(config.name, "node name")
    _check_live(config.live, f"{where}: live")
    return config


def _check_live(live: LiveSink, where: str) -> None:
    if live.url is not None and live.uplink == "direct":
        raise ContractError(f'{where}: a broker of its own and uplink = "direct": leave one of them out')
    if live.url is None and live != LiveSink(uplink=live.uplink):
        raise ContractError(f"{where}: a login without a broker: give its url, for example mqtts://broker.local:8883")


def _toml(file: Path) -> dict[str, dict[str, object]]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: give the path of an edge-node.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is not TOML: {error}") from None
