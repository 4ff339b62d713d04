"""What came of a simulation; its JSON is a contract (docs/reference/rollouts.md)."""

import msgspec


class WaveOutcome(msgspec.Struct, frozen=True):
    """A wave, and how many of its nodes are in which stage."""

    wave: int
    stages: dict[str, int]


class Outcome(msgspec.Struct, frozen=True):
    """Counts are of nodes; times are virtual but for `wall_s`."""

    nodes: int
    seed: int
    state: str
    """of the rollout, in the end"""
    reason: str
    cap: int
    """how many could be in flight at once"""
    most_in_flight: int
    started: int
    """that ever began to serve the new version on trial"""
    failed: int
    """that ever failed"""
    stopped_at_s: float | None
    """when it was decided that nobody else starts; None: never"""
    in_flight_at_stop: int
    started_after_stop: int
    final_states: dict[str, int]
    """stage → members"""
    serving: dict[str, int]
    """model@version → nodes that serve it in the end"""
    waves: tuple[WaveOutcome, ...]
    violations: tuple[str, ...]
    """what did not hold; none, or something is wrong with Nearfield"""
    virtual_s: float
    wall_s: float
    rounds: int
    """times that all was looked at and decided"""
    crashes: int
    reports: int
    decisions_per_s: float
    """rounds a second of processor time, the virtual nodes' included"""
    memory_kb_per_node: float
    """of coordinator and virtual nodes together, at most"""
