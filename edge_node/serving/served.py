"""A served version: its queue, its session's lane, and what it has done.

What goes together and who is refused: `queue`. What fits the model: `intake`.
"""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from edge_node.lane.messages import Answer, Hello, Port
from edge_node.serving.control import Batching, Serve
from edge_node.serving.inference import Answered, Caller, Inference, Kind, ServingError
from edge_node.serving.intake import TOO_LATE, Intake
from edge_node.serving.lane import Asked, Lane
from edge_node.serving.outputs import Labelled, outputs_of
from edge_node.serving.queue import FOREVER, Policy, Queue
from edge_node.serving.regions import Regions
from edge_node.serving.settings import ServingSettings
from edge_node.serving.statistics import Statistics

_RETRY_S = (0.05, 10.0)
_KINDS = {"invalid": Kind.INVALID, "deadline": Kind.DEADLINE, "busy": Kind.BUSY, "failed": Kind.FAILED}
"""What an answer's failure is to a client."""


def policy_of(batching: Batching, max_batch: int, queue_bytes: int, *, recurrent: bool) -> Policy:
    """The queue's policy for what the deployment says and the session can.

    Args:
        batching: of the deployment.
        max_batch: of the session.
        queue_bytes: what waiting asks may hold.
        recurrent: asks keep a state: one at a time.
    """
    rows = 1 if recurrent else max(1, min(max_batch, batching.max_batch or max_batch))
    return Policy(
        rows=rows,
        preferred=tuple(size for size in batching.preferred if 0 < size <= rows),
        delay_ns=batching.delay_us * 1000 if rows > 1 else 0,
        asks=max(1, batching.queue),
        size=queue_bytes,
        levels=max(1, batching.priorities),
    )


def same_model(one: Hello, other: Hello) -> bool:
    """Whether two lanes lead to the same model, on whatever it runs: a lost accelerator makes it no other."""
    here = {"engine": other.engine, "accelerator": other.accelerator}
    return msgspec.structs.replace(one, **here) == other


class Served:
    """A version that is served by one session; see `seam.Model`. `lane` is None while its worker is away."""

    def __init__(
        self, serve: Serve, lane: Lane, regions: Regions, settings: ServingSettings, statistics: Statistics
    ) -> None:
        hello = lane.hello
        self.name = serve.model
        self.version = serve.version
        self.platform = serve.platform
        self.session = serve.session
        self.batching: Batching = serve.batching
        self.engine = hello.engine
        self.accelerator = hello.accelerator
        self.inputs: Sequence[Port] = hello.inputs
        self.outputs: Sequence[Port] = hello.outputs
        self.max_batch = hello.max_batch
        self.instances = hello.instances
        self.recurrent = hello.recurrent
        self.sequence_idle_s = hello.sequence_idle_s
        self.labels: Sequence[str] = hello.labels
        self.statistics = statistics
        self.hello = hello
        self.lane: Lane | None = None
        self._labelled = Labelled(hello.labels, hello.labelled, batched=hello.max_batch > 0)
        timeout_ns = serve.batching.default_timeout_us * 1000
        self._intake = Intake(serve.model, hello, lane.cut, settings.open_bytes, timeout_ns)
        self._queue: Queue[Asked] = Queue(
            policy_of(serve.batching, hello.max_batch, settings.queue_bytes, recurrent=hello.recurrent)
        )
        self._regions = regions
        self._resume_s = settings.resume_s
        self._resuming: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self._timer_ns = FOREVER
        self.attach(lane)

    @property
    def waiting(self) -> int:
        """How many asks wait."""
        return len(self._queue)

    @property
    def available(self) -> bool:
        """Whether asks are taken: the session's worker is there, or expected back."""
        return self._drained is None and (self.lane is not None or self._resuming is not None)

    async def infer(self, inference: Inference, caller: Caller) -> Answered:
        """Check an inference, let it wait for its turn, and have it answered.

        Raises:
            ServingError: it does not fit, is refused, is too late, or failed.
        """
        began_ns = time.monotonic_ns()
        try:
            if not self.available:
                raise self._not_ready("no worker runs it")
            ask = self._intake.ask(inference, caller, began_ns)
            if not self._sent_at_once(ask):
                self._wait(ask)
            outputs = await ask.answer
        except ServingError as error:
            self.statistics.refuse(error.kind, time.monotonic_ns() - began_ns)
            raise
        except asyncio.CancelledError:
            self._queue.remove(ask)
            self._settle()
            raise
        return Answered(self.name, self.version, outputs, inference.id)

    def attach(self, lane: Lane) -> None:
        """The session's worker is there, perhaps again."""
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        if self.lane is not None:
            self.lane.hang_up("its worker has connected again")
        if not same_model(lane.hello, self.hello):
            self._refuse(self.give_up(), self._not_ready("its worker has come back with another model"))
        lane.owner = self
        self.lane = lane
        self._pump()

    def adopt(self, other: "Served") -> None:
        """Take the waiting asks of another session of the same version, if its worker is away and they fit here."""
        if other.lane is not None:
            return
        asks = other.give_up()
        if (other.hello.inputs, other.hello.outputs) != (self.hello.inputs, self.hello.outputs):
            self._refuse(asks, self._not_ready("it was replaced"))
            return
        self._put_back(asks)
        self._pump()

    def give_up(self) -> list[Asked]:
        """All that waits, in order; it waits here no more."""
        asks = list(self._queue)
        for ask in asks:
            self._queue.remove(ask)
        return asks

    async def drain(self) -> None:
        """Take no more, wait until all that it had is answered, then hang up."""
        self._drained = self._drained or asyncio.get_running_loop().create_future()
        self._settle()
        await self._drained
        if self.lane is not None:
            self.lane.close()
            self.lane = None

    def answered(self, ask: Asked, answer: Answer, slot: memoryview) -> None:
        """See `lane.Owner`."""
        if ask.answer.done():  # its caller has gone
            return
        if answer.failure:
            ask.refuse(ServingError(_KINDS[answer.failure], answer.reason or answer.failure))
            return
        try:
            outputs = outputs_of(answer.tensors, slot, ask.requested, self._labelled, self._regions)
        except ServingError as error:
            ask.refuse(error)
            return
        took_ns = time.monotonic_ns() - ask.since_ns
        self.statistics.answered(ask.rows, ask.sent_ns - ask.since_ns, took_ns, answer)
        ask.answer.set_result(outputs)

    def freed(self) -> None:
        """See `lane.Owner`."""
        self._pump()

    def executed(self, last: Answer) -> None:
        """See `lane.Owner`."""
        if not last.failure:
            self.statistics.executed(last, int(time.time() * 1000))
        self._settle()

    def over(self, lane: Lane, begun: list[Asked], waiting: list[Asked]) -> None:
        """See `lane.Owner`. What was begun is not tried again: it may be what ended the worker."""
        self._refuse(begun, self._not_ready("its worker has ended"))
        self._put_back(waiting)
        if lane is self.lane:
            self.lane = None
            self._resuming = asyncio.get_running_loop().call_later(self._resume_s, self._stays_away)
        self._settle()

    def _sent_at_once(self, ask: Asked) -> bool:
        """The short way, for most asks: nobody waits and an engine is free, or will be."""
        lane = self.lane
        if lane is None or lane.closed or ask.sequence is not None or not self._queue.passes(ask):
            return False
        if lane.in_work > self.instances or (lane.in_work == self.instances and not self._queue.fills(ask)):
            return False
        lane.send((ask,))
        return True

    def _wait(self, ask: Asked) -> None:
        refused = self._queue.offer(ask)
        if refused:
            self._refuse(refused, self._busy())
        self._pump()

    def _pump(self) -> None:
        """Send what can be sent, refuse what is too late, and wake up for the next of it."""
        if not self._queue:
            return
        now_ns = time.monotonic_ns()
        late = self._queue.expire(now_ns)
        if late:
            self._refuse(late, ServingError(Kind.DEADLINE, TOO_LATE))
        lane = self.lane
        while lane is not None and not lane.closed and lane.in_work <= self.instances:
            # Beyond one batch for each instance there is one ahead, so that no engine waits for us; only a full one.
            ahead = lane.in_work == self.instances
            batch = self._queue.take(now_ns, lane.sequences if self.instances > 1 else (), full=ahead)
            if not batch:
                break
            lane.send(batch)
        self._wake_up(now_ns)

    def _wake_up(self, now_ns: int) -> None:
        free = self.lane is not None and self.lane.in_work < self.instances
        due_ns = self._queue.due_ns(free=free)
        if due_ns < self._timer_ns:
            self._timer_ns = due_ns
            asyncio.get_running_loop().call_later(max(0, due_ns - now_ns) / 1e9, self._woken, due_ns)

    def _woken(self, due_ns: int) -> None:
        if due_ns == self._timer_ns:
            self._timer_ns = FOREVER
            self._pump()
            self._settle()

    def _settle(self) -> None:
        """A drain is over when nothing waits and nothing is in work. What waits for no worker waits in vain."""
        if self._drained is None or self._drained.done():
            return
        if self.lane is None:
            self._refuse(self.give_up(), self._not_ready("it was withdrawn"))
        if not self._queue and (self.lane is None or not self.lane.in_work):
            self._drained.set_result(None)

    def _stays_away(self) -> None:
        self._resuming = None
        self._refuse(self.give_up(), self._not_ready("its worker has ended"))

    def _put_back(self, asks: Sequence[Asked]) -> None:
        for ask in reversed(asks):
            if not ask.answer.done():
                self._queue.put_back(ask)

    def _refuse(self, asks: Sequence[Asked], error: ServingError) -> None:
        for ask in asks:
            ask.refuse(error)

    def _busy(self) -> ServingError:
        times = self.statistics.infer
        each_s = times.ns / 1e9 / max(1, times.count)
        shortest_s, longest_s = _RETRY_S
        retry_s = min(longest_s, max(shortest_s, each_s * len(self._queue) / self.instances))
        return ServingError(Kind.BUSY, f"Exceeds maximum queue size of model '{self.name}'", retry_s)

    def _not_ready(self, reason: str) -> ServingError:
        return ServingError(Kind.NOT_READY, f"model '{self.name}' version {self.version} is not ready: {reason}")
