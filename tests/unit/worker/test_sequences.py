"""States of recurrent models by sequence."""

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_node.errors import BadInput
from edge_node.lane.messages import Sequence
from edge_node.worker.sequences import Sequences, TooManySequences

ZEROS = {"h": np.zeros(1)}
IDLE_S = 10.0
MOST = 3


class SequencesMachine(RuleBasedStateMachine):
    """Against a model that is a dictionary of sums."""

    def __init__(self) -> None:
        super().__init__()
        self.sequences = Sequences(ZEROS, IDLE_S, MOST)
        self.model: dict[int | str, tuple[float, float]] = {}
        self.now_s = 0.0

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.model = {key: kept for key, kept in self.model.items() if self.now_s - kept[1] <= IDLE_S}

    @rule(key=st.sampled_from([1, 2, "a", "b"]), start=st.booleans(), end=st.booleans())
    def ask(self, key: int | str, start: bool, end: bool) -> None:
        sequence = Sequence(key, start, end)
        if not start and key not in self.model:
            with pytest.raises(BadInput, match="is not open"):
                self.sequences.state(sequence, self.now_s)
            return
        if start and key not in self.model and len(self.model) == MOST:
            with pytest.raises(TooManySequences):
                self.sequences.state(sequence, self.now_s)
            return
        held = self.sequences.state(sequence, self.now_s)["h"][0]
        assert held == (0 if start else self.model[key][0])
        self.sequences.keep(sequence, {"h": np.array([held + 1])}, self.now_s)
        self.model.pop(key, None)
        if not end:
            self.model[key] = held + 1, self.now_s

    @invariant()
    def no_more_are_kept_than_may_be(self) -> None:
        assert len(self.sequences) <= MOST


TestSequences = SequencesMachine.TestCase


def test_an_ask_without_a_sequence_is_refused() -> None:
    with pytest.raises(BadInput, match="give a sequence_id"):
        Sequences(ZEROS, IDLE_S, MOST).state(None, 0.0)
