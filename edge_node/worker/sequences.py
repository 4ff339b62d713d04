"""The states of a recurrent model: one per sequence, from ask to ask. Pure: the time is an argument, in seconds.

A sequence begins with an ask that says so and ends with one that says so, or when nothing came for it for too long.
"""

from collections.abc import Mapping

from edge_node.engine.base import Array
from edge_node.errors import BadInput, NearfieldError
from edge_node.lane.messages import Sequence

State = Mapping[str, Array]


class TooManySequences(NearfieldError):
    """No more can be open at once."""


class Sequences:
    """The open sequences, the one that was longest without an ask first."""

    def __init__(self, zeros: State, idle_s: float, most: int) -> None:
        """`zeros` is the state that a sequence begins with; at `most` so many are open."""
        self._zeros = zeros
        self._idle_s = idle_s
        self._most = most
        self._open: dict[int | str, tuple[State, float]] = {}

    def state(self, sequence: Sequence | None, now_s: float) -> State:
        """The state that an ask goes on from.

        Raises:
            BadInput: it belongs to no sequence, or to one that is not open.
            TooManySequences: as many are open as may be.
        """
        self._forget_idle(now_s)
        if sequence is None:
            raise BadInput("the model keeps a state for each sequence: give a sequence_id that is neither 0 nor empty")
        held = self._open.get(sequence.id)
        if sequence.start:
            if held is None and len(self._open) >= self._most:
                raise TooManySequences(f"{self._most} sequences are open: end one, or wait until one is idle")
            return self._zeros
        if held is None:
            raise BadInput(
                f"sequence {sequence.id} is not open, or was idle for {self._idle_s:g} s: begin it with sequence_start"
            )
        return held[0]

    def keep(self, sequence: Sequence, state: State, now_s: float) -> None:
        """What the sequence goes on from next time; one that ends is forgotten."""
        self._open.pop(sequence.id, None)
        if not sequence.end:
            self._open[sequence.id] = state, now_s

    def __len__(self) -> int:
        return len(self._open)

    def _forget_idle(self, now_s: float) -> None:
        while self._open:
            oldest = next(iter(self._open))
            if now_s - self._open[oldest][1] <= self._idle_s:
                return
            del self._open[oldest]
