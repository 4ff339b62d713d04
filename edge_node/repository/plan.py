"""What has to be done next for a model that is served from files. Pure, level-triggered, as the agent's plan.

A generation is one copy of one version: a file that has changed is a new generation of the same version, loaded beside
the one that serves, offered in its place, and only then is the old one withdrawn and unloaded. What cannot be loaded
takes nothing away: what serves goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from edge_node.serving.control import ModelState


@dataclass(frozen=True, order=True)
class Generation:
    """One copy of a version; numbers rise."""

    version: str
    number: int


@dataclass(frozen=True)
class Failure:
    """Why a generation does not serve; it is tried again at `retry_at` (monotonic seconds), None: when asked."""

    reason: str
    attempts: int = 1
    retry_at: float | None = None


@dataclass(frozen=True)
class Held:
    """A model: which generations should serve, and which the worker and the serving process have.

    The serving process answers for the `offered` ones, from the lanes of those that are `connected`: after a worker's
    death it waits for their lanes to come back.
    """

    model: str
    versions: tuple[str, ...] = ()
    """all that there are, also those that should not serve"""
    wanted: frozenset[Generation] = frozenset()
    loaded: frozenset[Generation] = frozenset()
    offered: frozenset[Generation] = frozenset()
    connected: frozenset[Generation] = frozenset()
    failures: Mapping[Generation, Failure] = field(default_factory=dict)


Verb = Literal["load", "offer", "withdraw", "unload"]


@dataclass(frozen=True)
class Step:
    """Something to do with a generation of a model."""

    verb: Verb
    model: str
    generation: Generation


def next_step(held: Held, now: float) -> Step | None:
    """What can be done now for a model; None: nothing, or nothing yet."""
    ready = [one for one in sorted(held.wanted, key=_age) if not _waits(held.failures.get(one), now)]
    for one in ready:
        if one not in held.loaded:
            return Step("load", held.model, one)
        if one not in held.connected:
            return Step("offer", held.model, one)
    over = sorted(one for one in held.offered - held.wanted if not _holds_the_place(one, held))
    unused = sorted(held.loaded - held.offered - held.wanted)
    if over:
        return Step("withdraw", held.model, over[0])
    return Step("unload", held.model, unused[0]) if unused else None


def noticed(held: Held, versions: tuple[str, ...]) -> Held | None:
    """The model when these versions of it were seen on the disk, None where nothing is left of it.

    What serves, or should, is there whatever the disk says; nothing comes to be wanted.
    """
    used = {one.version for one in held.wanted | held.loaded | held.offered}
    kept = tuple(one for one in held.versions if one in used and one not in versions)
    return replace(held, versions=(*kept, *versions)) if kept or versions else None


def retry_at(held: Held) -> float | None:
    """When time alone will help a model; None: never."""
    ends = [
        failure.retry_at
        for one in held.wanted
        if (failure := held.failures.get(one)) is not None and failure.retry_at is not None
    ]
    return min(ends, default=None)


def serves(held: Held) -> bool:
    """Whether all that should serve does."""
    return held.wanted <= held.connected


def is_ready(held: Held) -> bool:
    """Whether clients of the model are answered, or nobody should be: with an older version while a newer one comes."""
    return not held.wanted or bool(held.connected)


def complaint(held: Held) -> str:
    """Why what should serve does not; empty where nothing has failed."""
    reasons = [held.failures[one].reason for one in sorted(held.wanted - held.connected) if one in held.failures]
    return "; ".join(reasons)


def states(held: Held) -> tuple[ModelState, ...]:
    """The model's versions as the repository's index shows them."""
    return tuple(_state(held, version) for version in held.versions)


def _state(held: Held, version: str) -> ModelState:
    wanted = [one for one in held.wanted if one.version == version]
    connected = [one for one in held.connected if one.version == version]
    failed = [held.failures[one].reason for one in wanted if one in held.failures]
    if connected:
        leaving = not wanted and not held.wanted - held.connected
        return ModelState(held.model, version, "UNLOADING" if leaving else "READY", "; ".join(failed))
    if failed:
        return ModelState(held.model, version, "UNAVAILABLE", "; ".join(failed))
    if wanted:
        return ModelState(held.model, version, "LOADING")
    return ModelState(held.model, version, "UNAVAILABLE", "unloaded")


def _holds_the_place(old: Generation, held: Held) -> bool:
    """Whether what serves goes on until something can take its place: of its version, or else of the model."""
    missing = held.wanted - held.connected
    same = any(one.version == old.version for one in missing)
    return same or (bool(missing) and missing == held.wanted)


def _waits(failure: Failure | None, now: float) -> bool:
    return failure is not None and (failure.retry_at is None or failure.retry_at > now)


def _age(generation: Generation) -> tuple[int, int, str]:
    """Older versions first, so that the newest is offered last and answers who names none."""
    version = generation.version
    return (int(version) if version.isdecimal() else 0, generation.number, version)
