"""How much a file of a bundle may be, and what refuses it. One place for every number, each with its reason."""

from dataclasses import dataclass

from protos.errors import ContractError

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB


class Inadmissible(ContractError):
    """The file is beyond a limit, or points where it must not; one line without the file's name."""


class Malformed(Inadmissible):
    """The file is not of its format, or is cut off: a mistake as often as malice."""


@dataclass(frozen=True)
class Limits:
    """What is taken. The defaults are several times what the largest models for devices need."""

    model_bytes: int = 2 * GiB - 1
    """of a model file: neither protobuf nor flatbuffer can address more; larger models keep weights beside"""
    fields: int = 4_000_000
    """that are looked at in one file: what bounds the time of a check, to seconds for the worst file"""
    parts: int = 20_000
    """at the top of an `.onnx` file: the graph, functions, metadata"""
    nodes: int = 50_000
    """with functions and called graphs inlined, as engines do: large language models have 10,000"""
    tensors: int = 200_000
    """initializers, constants and, in TFLite, all tensors: four of each node"""
    graph_depth: int = 16
    """of graphs in graphs, and of types in types: exporters reach 5; engines recurse, and their stack ends"""
    functions: int = 2_000
    call_depth: int = 32
    """of functions that call one another"""
    axes: int = 32
    """of a tensor: numpy has no more"""
    tensor_elements: int = 2**28
    """of one declared tensor, 1 GiB of float32: no device of a fleet holds more in one piece"""
    weight_bytes: int = 4 * GiB
    """of all constants, those in other files with them: the largest file of a bundle"""
    loop_steps: int = 1_000_000
    """of loops that nothing but their count ends, inner times outer"""
    name_bytes: int = 64 * KiB
    """of a name: tensors are compared by name, and errors show it"""
    attributes: int = 256
    """of a node: random forests have 20"""
    vector_bytes: int = 256 * MiB
    """of the arrays of a golden vector once unpacked: the node holds one at a time"""
    vector_arrays: int = 64
    """of a golden vector: the inputs and outputs of a model"""
    label_bytes: int = 4 * MiB
    """of a label file"""
    labels: int = 100_000
    label_length: int = 1_000
    """characters: every result carries labels"""
    manifest_bytes: int = 64 * KiB
    """of a `model.toml`: large ones have 5 KiB"""


LIMITS = Limits()


class Work:
    """What is left of the fields that may be looked at."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left = limits.fields

    def spend(self, count: int = 1) -> None:
        """Account for fields, before they are read.

        Raises:
            Inadmissible: none are left.
        """
        self.left -= count
        if self.left < 0:
            raise Inadmissible(f"more than {self.limits.fields} fields")
