"""What a Triton model's `config.pbtxt` says of serving: which versions, how many instances, how asks are put together.

Shapes and types are read from the model itself, and whatever else the file says is for engines that are not here
(https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html).
Pure: the text is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_node.errors import BadInput
from edge_node.serving.control import Batching

if TYPE_CHECKING:
    from protos.inference.model_config_pb2 import ModelConfig


@dataclass(frozen=True)
class Labelled:
    """An output whose classes have names, and the file of them, by its path from the model's folder."""

    output: str
    file: str


@dataclass(frozen=True)
class Implicit:
    """An input that is the output of the step before, and how it begins.

    `shape` is without the axis of batches, open axes are 1; `file` lies in `initial_state` of the model's folder, and
    without one it begins with zeros.
    """

    input: str
    output: str
    shape: tuple[int, ...]
    file: str = ""


@dataclass(frozen=True)
class TritonConfig:
    """`versions` None: the newest `latest`; empty: all of them. `instances`, `sequence_idle_s` 0: it does not say."""

    batching: Batching = field(default_factory=Batching)
    instances: int = 0
    latest: int = 1
    versions: tuple[int, ...] | None = None
    labelled: Labelled | None = None
    states: tuple[Implicit, ...] = ()
    sequence_idle_s: float = 0.0

    def chosen(self, there: Sequence[int]) -> tuple[int, ...]:
        """The versions that serve, of those that there are, rising."""
        if self.versions is None:
            return tuple(there[-self.latest :])
        return tuple(number for number in there if not self.versions or number in self.versions)


def parse_config(text: str, where: str) -> TritonConfig:
    """The configuration that a text states.

    Raises:
        BadInput: it is not in protobuf's text format.
    """
    from google.protobuf import text_format  # protobuf is for those who have such files

    from protos.inference.model_config_pb2 import ModelConfig

    config = ModelConfig()
    try:
        text_format.Parse(text, config, allow_unknown_field=True)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise BadInput(f"{where} cannot be read: {str(error).splitlines()[0]}") from None
    policy = config.version_policy
    listed = tuple(policy.specific.versions) if policy.HasField("specific") else ()
    named = policy.HasField("all") or policy.HasField("specific")
    return TritonConfig(
        batching=_batching(config) if "max_batch_size" in text else Batching(),
        instances=sum(group.count or 1 for group in config.instance_group),
        latest=max(1, policy.latest.num_versions),
        versions=listed if named else None,
        labelled=next((Labelled(one.name, one.label_filename) for one in config.output if one.label_filename), None),
        states=_states(config, where),
        sequence_idle_s=config.sequence_batching.max_sequence_idle_microseconds / 1e6,
    )


def _states(config: "ModelConfig", where: str) -> tuple[Implicit, ...]:
    states = config.sequence_batching.state
    unsure = next((one for one in states if len(one.initial_state) > 1), None)
    if unsure is not None:
        raise BadInput(f"{where}: state {unsure.input_name!r} has more than one initial_state: leave one")
    first = [next(iter(one.initial_state), None) for one in states]
    return tuple(
        Implicit(
            one.input_name,
            one.output_name,
            tuple(max(1, axis) for axis in (one.dims if begin is None else begin.dims)),
            "" if begin is None else begin.data_file,
        )
        for one, begin in zip(states, first, strict=True)
    )


def _batching(config: "ModelConfig") -> Batching:
    """Triton batches where `dynamic_batching` stands; a `max_batch_size` of 0 means that there is no batch axis."""
    if not config.max_batch_size:
        return Batching(max_batch=1)
    dynamic = config.dynamic_batching
    policy = dynamic.default_queue_policy
    return Batching(
        max_batch=config.max_batch_size,
        preferred=tuple(dynamic.preferred_batch_size),
        delay_us=dynamic.max_queue_delay_microseconds,
        queue=policy.max_queue_size or Batching().queue,
        priorities=dynamic.priority_levels,
        default_timeout_us=policy.default_timeout_microseconds,
    )
