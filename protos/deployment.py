"""A deployment: which version and pipelines a selection of nodes should have, as YAML or JSON states it."""

import math
import re
from typing import Annotated, Literal

import msgspec

from protos.errors import ContractError
from protos.identity import checked_name
from protos.strict import convert

RESERVED = frozenset({"availability"})
"""No pipeline's name: `live/<site>/<node>/availability` is the node's own topic."""

_VERSION = re.compile(r"[1-9][0-9]{0,8}")


class Live(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of a pipeline is published live: `qos` of results, and which last values are retained."""

    enabled: bool = True
    qos: Literal[0, 1] = 0
    state: Annotated[tuple[Literal["label", "count", "present"], ...], msgspec.Meta(max_length=3)] = ()


MOST_EGRESS = 64 * 1024


class Egress(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Raw outputs that may leave the node: bytes of one result as JSON. None of either kind leaves undeclared."""

    tensor: Annotated[int, msgspec.Meta(ge=1, le=MOST_EGRESS)] | None = None
    embedding: Annotated[int, msgspec.Meta(ge=1, le=MOST_EGRESS)] | None = None


class Pipeline(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """source → preprocess → engine → postprocess → sinks.

    `source` is a name in the node's own configuration. `fps` caps the frames taken from it; the rest override the
    bundle's manifest for this pipeline.
    """

    name: str
    source: str
    fps: float | None = None
    top_k: int | None = None
    score_threshold: float | None = None
    threshold: float | None = None
    priority: int = 0
    live: Live = Live()
    egress: Egress = Egress()


MOST_INSTANCES = 64
MOST_BATCH = 1024


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How clients of the node are answered from the deployment's model, beside its pipelines.

    `instances` of one session each answer at the same time, for clients and pipelines together. Asks are put together
    up to `max_batch` samples (0: what the model takes, 1: never), best in the `preferred` sizes, and a batch waits
    `delay_us` for more (0: it takes what is there). `queue` asks wait, more are refused. `priorities` is how many
    levels there are, 0 for none; `default_timeout_us` is for asks that bring none, 0 for never.
    """

    enabled: bool = True
    instances: Annotated[int, msgspec.Meta(ge=1, le=MOST_INSTANCES)] = 1
    max_batch: Annotated[int, msgspec.Meta(ge=0, le=MOST_BATCH)] = 0
    preferred: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=MOST_BATCH)], ...], msgspec.Meta(max_length=16)
    ] = ()
    delay_us: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    queue: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 256
    priorities: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    default_timeout_us: Annotated[int, msgspec.Meta(ge=0)] = 0


class Deployment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A deployment as its author writes it. `model` is `name@version`; `selector` a Kubernetes label selector.

    It has pipelines, or clients to serve, or both.
    """

    name: str
    selector: str
    model: str
    pipelines: tuple[Pipeline, ...] = ()
    strategy: Literal["switch_when_ready", "stop_first"] = "switch_when_ready"
    variant: str | None = None
    serving: Serving | None = None


def parse_deployment(document: object, where: str) -> Deployment:
    """The deployment that a parsed YAML or JSON document states.

    Raises:
        ContractError: what is wrong and where; for a typo the nearest key.
    """
    deployment = convert(document, Deployment, where)
    checked_name(deployment.name, f"{where}: name")
    model_version(deployment.model)
    if not deployment.pipelines and (deployment.serving is None or not deployment.serving.enabled):
        raise ContractError(
            f"{where}: no pipelines: name at least one, with its source, or serve clients: serving: {{}}"
        )
    for pipeline in deployment.pipelines:
        checked_name(pipeline.name, f"{where}: pipelines: name")
        if pipeline.name in RESERVED:
            raise ContractError(
                f"{where}: a pipeline cannot be named {pipeline.name!r}: that is a live topic of the node"
            )
        checked_name(pipeline.source, f"{where}: pipeline {pipeline.name!r}: source")
        _check_numbers(pipeline, f"{where}: pipeline {pipeline.name!r}")
    names = [pipeline.name for pipeline in deployment.pipelines]
    if len(set(names)) != len(names):
        raise ContractError(f"{where}: two pipelines have the same name")
    return deployment


def _check_numbers(pipeline: Pipeline, where: str) -> None:
    numbers = {"fps": pipeline.fps, "score_threshold": pipeline.score_threshold, "threshold": pipeline.threshold}
    for key, value in numbers.items():
        if value is not None and not math.isfinite(value):
            raise ContractError(f"{where}: {key} must be a finite number")
    if pipeline.fps is not None and pipeline.fps <= 0:
        raise ContractError(f"{where}: fps must be above 0")


def model_version(reference: str) -> tuple[str, int]:
    """The name and version of `name@version`.

    Raises:
        ContractError: not of that form.
    """
    name, at, version = reference.rpartition("@")
    if not at or _VERSION.fullmatch(version) is None:
        raise ContractError(f"model {reference!r}: write name@version, for example mobilenet-v2@1")
    return checked_name(name, "model"), int(version)
