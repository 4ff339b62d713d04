"""The coordinator's configuration: `coordinator.toml` in the folder that `edge-coordinator init` makes.

Keys are documented in docs/reference/coordinator.md.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from coordinator.errors import BadInput
from protos.errors import ContractError
from protos.evaluation import Requirement, parse_requirement
from protos.strict import convert
from protos.topics import DEFAULT_PREFIX, checked_prefix

CONFIG_FILE = "coordinator.toml"
DEFAULT_GRPC_PORT = 7070
DEFAULT_ENROLL_PORT = 7071
DEFAULT_BROKER_PORT = 8883


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Days = Annotated[int, msgspec.Meta(ge=0, le=36_500)]

CertificateHours = Annotated[int, msgspec.Meta(ge=1, le=10 * 366 * 24)]
GraceDays = Annotated[int, msgspec.Meta(ge=0, le=3650)]


class CoordinatorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that the coordinator reads from outside.

    `database` and `results_database` are SQLAlchemy URLs; without them SQLite files in the folder. `broker` is the
    URL of a broker to use; without it the coordinator runs its own on `broker_port` (port 0: any free one), Mosquitto
    where it is installed (`own_broker = "auto"`), else the embedded one.

    `names` are further host names and addresses of this machine, for its certificate; `advertise` are the ones that
    join tokens and zeroconf name, where those that the machine finds are not the right ones.
    """

    host: str = "0.0.0.0"  # noqa: S104 - every listener has TLS and asks who calls
    port: Port = DEFAULT_GRPC_PORT
    enroll_port: Port = DEFAULT_ENROLL_PORT
    names: tuple[str, ...] = ()
    advertise: tuple[str, ...] = ()
    node_certificate_hours: CertificateHours = 90 * 24
    renewal_grace_days: GraceDays = 90
    database: str | None = None
    results_database: str | None = None
    broker: str | None = None
    broker_username: str | None = None
    broker_password_file: str | None = None
    broker_ca_file: str | None = None
    broker_cert_file: str | None = None
    broker_key_file: str | None = None
    broker_port: Port = DEFAULT_BROKER_PORT
    own_broker: Literal["auto", "mosquitto", "embedded"] = "auto"
    topic_prefix: str = DEFAULT_PREFIX
    results_retention_days: Days = 30
    require_evaluation: tuple[str, ...] = ()
    """conditions that every version's evaluation has to meet before it is taken: `accuracy>=0.9`"""
    announce: bool = True
    """make the coordinator known by zeroconf"""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def requirements(config: CoordinatorConfig) -> tuple[Requirement, ...]:
    """What the evaluation of a new version has to show.

    Raises:
        ContractError: a condition is none.
    """
    return tuple(map(parse_requirement, config.require_evaluation))


def read_config(folder: Path) -> CoordinatorConfig:
    """The configuration of a coordinator's folder.

    Raises:
        BadInput: not a coordinator's folder, not TOML, an unknown key (the nearest is named), or no prefix of topics.
    """
    file = folder / CONFIG_FILE
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        config = convert(document, CoordinatorConfig, str(file))
    except FileNotFoundError:
        raise BadInput(f"{folder} has no {CONFIG_FILE}: run edge-coordinator init --dir {folder} first") from None
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} is not TOML: {error}") from None
    except ContractError as error:
        raise BadInput(str(error)) from None
    try:
        checked_prefix(config.topic_prefix)
        requirements(config)
    except ContractError as error:
        raise BadInput(f"{file}: {error}") from None
    return config
