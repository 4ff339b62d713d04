"""What the agent remembers of rungs that took a worker with them, and of compiled forms: for all of its workers.

A rung that fails within a worker falls there (`edge_node.engine.standing`). One that crashes or hangs ends the worker;
the next worker is told, so that its sessions begin one rung lower and try the fallen one later.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from edge_node.engine.ladder import Fall, after_fall, load_patience_s, standing
from edge_node.rungs import Rung, SessionStatus
from edge_node.worker.forms import Forms
from edge_node.worker.messages import FallenRung, Ladder, Load

Model = tuple[str, str]
"""A bundle's folder and a variant of it."""


class Ladders:
    """The falls of this device. `forms` are the compiled forms that loads may use, None for none."""

    def __init__(self, forms: Forms | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.forms = forms
        self._clock = clock
        self._falls: dict[tuple[Model, str], Fall] = {}

    def of(self, bundle: str, variant: str, rungs: Sequence[Rung]) -> Ladder:
        """The ladder of a variant that is about to be loaded."""
        now = self._clock()
        known = ((place, self._falls.get(((bundle, variant), rung.name))) for place, rung in enumerate(rungs))
        fallen = [(place, fall) for place, fall in known if fall is not None]
        told = (FallenRung(place, one.reason, one.attempts, max(0.0, one.retry_at - now)) for place, one in fallen)
        return Ladder(tuple(rungs), tuple(told))

    def died(self, load: Load, status: SessionStatus | None, reason: str) -> None:
        """A worker died of a session, or may have: the rung that it was on has fallen, unless it is the last."""
        rungs, model = load.ladder.rungs, (load.bundle, load.variant)
        place = begun_at(load.ladder)
        if status is not None:
            names = [rung.name for rung in rungs]
            name = f"{status.engine}/{status.accelerator}"
            place = names.index(name) if name in names else place
        if place < len(rungs) - 1:
            key = model, rungs[place].name
            self._falls[key] = after_fall(self._falls.get(key), reason, self._clock())


def begun_at(ladder: Ladder) -> int:
    """The place of the rung that a load begins with."""
    fallen = {one.place: Fall(one.reason, one.attempts, one.retry_in_s) for one in ladder.fallen}
    return standing(len(ladder.rungs), fallen, 0.0)


def patience_of(ladder: Ladder, loads_ms: Mapping[str, float], instances: int) -> float | None:
    """How long a load of this ladder may take: see `load_patience_s`."""
    return load_patience_s([rung.name for rung in ladder.rungs], begun_at(ladder), loads_ms, instances)
