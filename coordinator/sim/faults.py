"""What goes wrong in a simulation, as its author writes it. Pure; the keys are in docs/reference/rollouts.md."""

import msgspec

from coordinator.errors import BadInput
from coordinator.rollouts.durations import seconds_of
from protos.errors import ContractError
from protos.strict import convert

MOST_COORDINATORS = 8


class Partition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For a while a share of the nodes is cut off: they run on, hear nothing and are not heard."""

    at: str
    """after the rollout began"""
    lasts: str
    share: float = 1.0


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rates are shares, 0..1; times are durations."""

    failure_rate: float = 0.0
    """of starts of the new version: the node goes back by itself within its probation"""
    refusal_rate: float = 0.0
    """of orders: the node cannot take the version up, and says so"""
    hang_rate: float = 0.0
    """of starts: the node is never heard of again"""
    offline: float = 0.0
    """of nodes: not there when the rollout begins"""
    offline_for: str = "2h"
    partitions: tuple[Partition, ...] = ()
    slow: float = 0.0
    """of nodes: everything takes `slow_factor` times as long"""
    slow_factor: float = 10.0
    late: float = 0.0
    """of reports: they arrive later by up to `late_by`, in their order"""
    late_by: str = "1m"
    lost: float = 0.0
    """of reports: they do not arrive; the node says it again half a minute later"""
    clock_skew: str = "0"
    """the clocks of nodes are wrong by up to so much, either way"""
    coordinators: int = 1
    """processes on one database; one acts"""
    crash_rate: float = 0.0
    """of rounds: the coordinator dies before it commits, and another process takes its place"""
    latency_ms: float = 20.0
    """of an answer by the version before"""
    new_latency_ms: float = 20.0
    new_error_rate: float = 0.0
    bad_sites: float = 0.0
    """of sites: there the new version answers ten times as slowly"""

    def seconds(self, key: str) -> float:
        """The time under a key."""
        return seconds_of(getattr(self, key), key)


RATES = ("failure_rate", "refusal_rate", "hang_rate", "offline", "slow", "late", "lost", "crash_rate", "new_error_rate")


def parse_faults(document: object, where: str) -> Faults:
    """The faults that a parsed YAML document states.

    Raises:
        BadInput: one line: what is wrong and where; for a typo the nearest key.
    """
    try:
        faults = convert(document, Faults, where)
    except ContractError as error:
        raise BadInput(str(error)) from None
    for key in (*RATES, "bad_sites"):
        _check_rate(getattr(faults, key), f"{where}: {key}")
    for key in ("offline_for", "late_by", "clock_skew"):
        seconds_of(getattr(faults, key), f"{where}: {key}")
    for partition in faults.partitions:
        _check_rate(partition.share, f"{where}: partitions: share")
        seconds_of(partition.at, f"{where}: partitions: at")
        seconds_of(partition.lasts, f"{where}: partitions: lasts")
    if not 1 <= faults.coordinators <= MOST_COORDINATORS:
        raise BadInput(f"{where}: coordinators must be within 1 and {MOST_COORDINATORS}")
    if min(faults.latency_ms, faults.new_latency_ms, faults.slow_factor) <= 0:
        raise BadInput(f"{where}: latency_ms, new_latency_ms and slow_factor must be above 0")
    if faults.crash_rate == 1 or faults.lost == 1:
        raise BadInput(f"{where}: crash_rate and lost must be below 1: nothing would ever come of it")
    return faults


def _check_rate(rate: float, where: str) -> None:
    if not 0 <= rate <= 1:
        raise BadInput(f"{where} must be within 0 and 1")
