"""What the serving process and its parent (the agent, or `edge-node serve`) say to each other.

On an inherited socket each message is a 4-byte big-endian length and MessagePack, as on a worker's. The parent owns
models and workers; the serving process owns ports, lanes and clients. Requests of either side carry a number and are
answered once with `Done` or `Failed`.

The order of a swap: the parent loads the new version in a worker, sends `Serve`, has the worker connect its lane,
hears `Done` (the version answers from now on), then sends `Withdraw` for the old one, whose `Done` says that its last
answer has left. Only then is the old session unloaded.
"""

from typing import Literal

import msgspec

from edge_node.serving.firewall.keys import Key


class Batching(msgspec.Struct, frozen=True):
    """How asks are put together and queued. `max_batch` 0 takes what the session says, 1 switches batching off."""

    max_batch: int = 0
    preferred: tuple[int, ...] = ()
    delay_us: int = 0
    """how long a batch waits for more; 0 takes what is there"""
    queue: int = 256
    """asks that wait; more are refused as busy"""
    priorities: int = 0
    """levels: 1 is first; 0 knows none"""
    default_timeout_us: int = 0


class Serve(msgspec.Struct, frozen=True, tag=True):
    """Answer for this version from the lane of `session`; done as soon as the lane is connected.

    It replaces what is served under the same name and version. `platform` is what metadata calls the model's kind.
    """

    request: int
    model: str
    version: str
    session: str
    platform: str
    batching: Batching = Batching()
    default: bool = True
    """answers requests that name no version"""


class Withdraw(msgspec.Struct, frozen=True, tag=True):
    """Take no more for this session's version; done when all that it had is answered."""

    request: int
    session: str


class ModelState(msgspec.Struct, frozen=True):
    """A model in the repository's index, whether it serves or not."""

    model: str
    version: str
    state: Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]
    reason: str = ""
    on: str = ""
    """engine and accelerator of what serves, where the parent knows (`onnxruntime/cuda`)"""
    fell: str = ""
    """why that is not its best rung; empty where it is"""


class Index(msgspec.Struct, frozen=True, tag=True):
    """All that there is to serve; sent whole whenever it changes. Not answered."""

    models: tuple[ModelState, ...]
    ready: bool = True
    """whether all that should serve does, for readiness"""


class LoadModel(msgspec.Struct, frozen=True, tag=True):
    """A client wants a model loaded. From the serving process; done when it serves."""

    request: int
    model: str


class UnloadModel(msgspec.Struct, frozen=True, tag=True):
    """A client wants a model unloaded. From the serving process; done when it serves no more."""

    request: int
    model: str


class Keys(msgspec.Struct, frozen=True, tag=True):
    """The keys of clients that count from now on; sent when their file has changed. Not answered."""

    keys: tuple[Key, ...]


class Timing(msgspec.Struct, frozen=True, tag=True):
    """How long something took, for the metrics: `edge_cold_start_seconds`, `edge_swap_seconds`. Not answered."""

    model: str
    version: str
    what: Literal["cold_start", "swap"]
    seconds: float


class Listening(msgspec.Struct, frozen=True, tag=True):
    """The addresses that the serving process has bound, once, when it takes clients. From the serving process."""

    grpc: str
    http: str
    metrics: str
    lanes: str
    """path of the socket that workers reach their lanes by"""
    sandbox: str = ""
    """what confines the process, and what does not; one line"""


class Served(msgspec.Struct, frozen=True, tag=True):
    """What was answered so far, each second, for `edge-node status`. From the serving process."""

    answered: int
    refused: dict[str, int]
    in_flight: int
    memory_kb: int


class Done(msgspec.Struct, frozen=True, tag=True):
    """A request was carried out."""

    request: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A request failed; `reason` is one line. Request 0: the serving process itself cannot start."""

    request: int
    reason: str


FromParent = Serve | Withdraw | Index | Timing | Keys | Done | Failed
FromServer = LoadModel | UnloadModel | Listening | Served | Done | Failed
