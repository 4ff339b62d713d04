"""What a pipeline saw in one frame. Plain data, without numpy: it crosses from the worker to the agent."""

import msgspec

from protos.result import Frame, LatencyMs


class Observation(msgspec.Struct, frozen=True, array_like=True):
    """An answer before the agent gives it a sequence number and a name.

    `session` says which loaded version answered. `captured_ns` is the wall clock at capture, nanoseconds since 1970;
    `outputs` are builtins in the form of the task's struct in `protos.result`.
    """

    pipeline: str
    session: str
    captured_ns: int
    latency_ms: LatencyMs
    task: str
    outputs: tuple[object, ...]
    stream_time_s: float | None = None
    frame: Frame | None = None
