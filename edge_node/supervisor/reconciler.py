"""The loop: plan, begin the steps that may go together, wait until something has changed, again.

Messages only wake it; it reads desired and actual anew every time, so that losing one costs latency, never correctness.
It sleeps until it is woken, a step ends, or the plan says that time alone will help.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from edge_node.errors import NearfieldError, Refused
from edge_node.supervisor.actual import Facts
from edge_node.supervisor.device import Device
from edge_node.supervisor.effects import EFFECTS
from edge_node.supervisor.plan import plan
from edge_node.supervisor.steps import Load, Step, Wait
from protos.desired import Desired
from protos.errors import ContractError

MOST_UNDER_WAY = 4
LOOK_S = 5.0
"""How often the state of sources is looked at."""

log = logging.getLogger(__name__)


def startable(steps: Sequence[Step], under_way: Collection[Step]) -> list[Step]:
    """The steps to begin: in the plan's order, none sharing a subject with another or with one under way. Pure."""
    busy = {subject for step in under_way for subject in step.subjects}
    begun: list[Step] = []
    for step in steps:
        if isinstance(step, Wait) or len(under_way) + len(begun) >= MOST_UNDER_WAY:
            continue
        if busy.isdisjoint(step.subjects):
            begun.append(step)
            busy.update(step.subjects)
    return begun


def sleep_s(steps: Sequence[Step], now: float, capturing: bool) -> float | None:
    """How long nothing will change by itself; None: for ever. Sources come and go without saying so. Pure."""
    ends = [step.until for step in steps if isinstance(step, Wait) and step.until is not None]
    if capturing:
        ends.append(now + LOOK_S)
    return max(0.0, min(ends) - now) if ends else None


class Reconciler:
    """Makes the device what it should be.

    `plan` is the newest plan, `under_way` the steps being carried out, for whoever asks what is going on.
    """

    def __init__(
        self,
        device: Device,
        desired: Callable[[], Desired | None],
        facts: Callable[[], Facts],
        on_planned: Callable[[], None],
    ) -> None:
        self._device = device
        self._desired = desired
        self._facts = facts
        self._on_planned = on_planned
        self._changed = asyncio.Event()
        self.plan: tuple[Step, ...] = ()
        self.under_way: list[Step] = []

    def wake(self) -> None:
        """Something has changed: plan again."""
        self._changed.set()

    async def run(self) -> None:
        """Reconcile until cancelled; steps under way are cancelled with it."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                self._device.measure()
                self._device.hold_back_failing()
                facts = self._facts()
                self.plan = plan(self._desired(), self._device.actual(), facts)
                for step in startable(self.plan, self.under_way):
                    self.under_way.append(step)
                    tasks.create_task(self._carry_out(step), name=str(step))
                self._on_planned()
                await self._sleep(sleep_s(self.plan, facts.now, bool(self._device.captures)))

    async def _sleep(self, longest_s: float | None) -> None:
        # Not wait_for: on Python 3.11 it loses a cancellation that arrives together with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._changed.wait()

    async def _carry_out(self, step: Step) -> None:
        """Carry out a step; what goes wrong is remembered and holds its subject back."""
        log.info("%s", step)
        try:
            await EFFECTS[type(step)](self._device, step)
        except (NearfieldError, ContractError, OSError) as error:
            self._device.fail(step.subjects[0], str(error), refused=isinstance(error, Refused))
            log.warning("%s: %s", step, error)
        except Exception as error:  # one step's defect must not stop the node: it is logged whole and reported
            self._device.fail(step.subjects[0], f"internal error: {error!r}")
            log.exception("%s", step)
        else:
            if not isinstance(step, Load):  # a session is forgiven when it has passed its probation
                self._device.failures.pop(step.subjects[0], None)
        finally:
            self.under_way.remove(step)
            self.wake()
