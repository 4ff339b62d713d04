"""Which asks go together, in which order, and who is refused."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from edge_node.serving.queue import FOREVER, Policy, Queue, Waiting, rows_to_send


def ask(caller: str = "a", form: str = "f", rows: int = 1, **more: int) -> Waiting:
    return Waiting(caller, form, rows, more.pop("size", 1), more.pop("since_ns", 0), **more)


def queue(*asks: Waiting, **policy: object) -> Queue[Waiting]:
    made: Queue[Waiting] = Queue(replace(Policy(), **policy))  # type: ignore[arg-type] # by name
    for one in asks:
        assert made.offer(one) == []
    return made


def test_what_waits_is_the_batch() -> None:
    first, second = ask(), ask()
    waiting = queue(first, second, rows=8)
    assert waiting.take(0) == [first, second]
    assert len(waiting) == 0


def test_a_batch_is_never_larger_than_the_model_takes() -> None:
    asks = [ask(rows=3) for _ in range(3)]
    waiting = queue(*asks, rows=8)
    assert waiting.take(0) == asks[:2]


def test_only_asks_of_equal_form_share_a_batch() -> None:
    first, other, third = ask("a"), ask("b", form="g"), ask("c")
    waiting = queue(first, other, third, rows=8)
    assert waiting.take(0) == [first, third]
    assert waiting.take(0) == [other]


def test_a_caller_is_not_overtaken_by_itself() -> None:
    first, other, third = ask(), ask(form="g"), ask()
    waiting = queue(first, other, third, rows=8)
    assert waiting.take(0) == [first]


def test_callers_take_turns_so_that_a_thousand_asks_do_not_keep_one_waiting() -> None:
    greedy = [ask("greedy") for _ in range(100)]
    honest = ask("honest")
    waiting = queue(*greedy, honest)
    assert [waiting.take(0), waiting.take(0), waiting.take(0)] == [[greedy[0]], [honest], [greedy[1]]]


def test_a_batch_is_shared_between_callers_in_turns() -> None:
    greedy = [ask("greedy") for _ in range(100)]
    honest = [ask("honest") for _ in range(2)]
    waiting = queue(*greedy, *honest, rows=4)
    assert waiting.take(0) == [greedy[0], honest[0], greedy[1], honest[1]]


def test_priority_1_goes_first_and_none_is_the_last_level() -> None:
    unsaid, second, first = ask(), ask(priority=2), ask(priority=1)
    waiting = queue(unsaid, second, first, levels=3)
    assert [waiting.take(0), waiting.take(0), waiting.take(0)] == [[first], [second], [unsaid]]


def test_a_priority_does_not_reorder_a_sequence() -> None:
    first, second = ask(sequence=7, priority=2), ask(sequence=7, priority=1)
    waiting = queue(first, second, levels=2)
    assert waiting.take(0) == [first]


def test_a_sequence_in_work_waits_and_others_go_on() -> None:
    first, other = ask("a", sequence=7), ask("b", sequence=8)
    waiting = queue(first, other)
    assert waiting.take(0, {7}) == [other]
    assert waiting.take(0, {7}) == []
    assert waiting.take(0) == [first]


def test_a_full_queue_refuses_the_caller_that_filled_it() -> None:
    waiting = queue(ask(), ask(), asks=2)
    late = ask()
    assert waiting.offer(late) == [late]


def test_a_full_queue_is_no_way_to_lock_others_out() -> None:
    greedy = [ask("greedy") for _ in range(10)]
    waiting = queue(*greedy, asks=10)
    honest = ask("honest")
    assert waiting.offer(honest) == [greedy[-1]]
    assert honest in list(waiting)
    assert len(waiting) == 10


def test_memory_counts_as_much_as_numbers() -> None:
    waiting = queue(ask(size=60), asks=10, size=100)
    large = ask(size=60)
    assert waiting.offer(large) == [large]
    assert waiting.offer(ask(size=30)) == []


def test_what_is_too_late_is_taken_out_before_it_costs_work() -> None:
    late, timely = ask(deadline_ns=5), ask(deadline_ns=9)
    waiting = queue(late, timely)
    assert waiting.due_ns(free=True) == 5
    assert waiting.expire(5) == [late]
    assert waiting.due_ns(free=True) == 9
    assert waiting.expire(8) == []


def test_a_batch_waits_for_more_only_as_long_as_its_delay() -> None:
    first = ask(since_ns=100)
    waiting = queue(first, rows=4, delay_ns=50)
    assert waiting.take(149) == []
    assert waiting.due_ns(free=True) == 150
    assert waiting.due_ns(free=False) == FOREVER
    assert waiting.take(150) == [first]


def test_a_batch_ahead_of_the_engine_is_sent_only_full() -> None:
    waiting = queue(ask(), ask(), ask(), rows=4)
    assert waiting.take(0, full=True) == []
    waiting.offer(ask())
    assert len(waiting.take(0, full=True)) == 4


def test_an_ask_that_comes_back_is_its_callers_first() -> None:
    first, second = ask(), ask()
    waiting = queue(first, second)
    assert waiting.take(0) == [first]
    waiting.put_back(first)
    assert waiting.take(0) == [first]


@given(st.integers(1, 20), st.integers(0, 100), st.sets(st.integers(1, 8)), st.integers(0, 100))
def test_what_is_sent_is_full_preferred_or_has_waited(
    rows: int, waited_ns: int, preferred: set[int], delay_ns: int
) -> None:
    policy = Policy(rows=8, preferred=tuple(preferred), delay_ns=delay_ns)
    sent = rows_to_send(rows, waited_ns, policy)
    assert sent <= rows
    assert sent in {0, rows} | preferred
    assert sent or (waited_ns < delay_ns and not any(size <= rows for size in preferred))


class Queueing(RuleBasedStateMachine):
    """Nothing is lost, nothing comes twice, limits hold, a caller's asks of a priority stay in order."""

    asked = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue[Waiting] = Queue(Policy(rows=4, asks=6, size=60, levels=2, preferred=(2,), delay_ns=5))
        self.now_ns = 0
        self.waiting: list[Waiting] = []
        self.gone: list[Waiting] = []

    @rule(
        target=asked,
        caller=st.sampled_from("abc"),
        form=st.sampled_from("fg"),
        rows=st.integers(1, 5),
        size=st.integers(0, 70),
        priority=st.integers(0, 3),
        patience_ns=st.none() | st.integers(1, 9),
    )
    def offer(self, caller: str, form: str, rows: int, size: int, priority: int, patience_ns: int | None) -> Waiting:
        deadline_ns = self.now_ns + patience_ns if patience_ns else 0
        one = Waiting(caller, form, rows, size, self.now_ns, deadline_ns, priority)
        refused = self.queue.offer(one)
        self.waiting.append(one)
        self._leave(refused)
        return one

    @rule(one=asked)
    def remove(self, one: Waiting) -> None:
        self.queue.remove(one)
        if one in self.waiting:
            self._leave([one])

    @rule(full=st.booleans())
    def take(self, full: bool) -> None:
        batch = self.queue.take(self.now_ns, full=full)
        assert len({one.form for one in batch}) <= 1
        assert sum(one.rows for one in batch) <= 4 or len(batch) == 1
        for one in batch:
            earlier = self.waiting[: self.waiting.index(one)]
            assert not [
                other
                for other in earlier
                if other.caller == one.caller and _level(other) == _level(one) and other not in batch
            ]
        self._leave(batch)

    @rule(passed_ns=st.integers(1, 10))
    def time_passes(self, passed_ns: int) -> None:
        self.now_ns += passed_ns
        late = self.queue.expire(self.now_ns)
        assert sorted(map(id, late)) == sorted(id(one) for one in self.waiting if 0 < one.deadline_ns <= self.now_ns)
        self._leave(late)

    @invariant()
    def nothing_is_lost_and_nothing_waits_twice(self) -> None:
        assert Counter(map(id, self.queue)) == Counter(map(id, self.waiting))
        assert len(self.queue) == len(self.waiting)

    @invariant()
    def limits_hold(self) -> None:
        assert len(self.queue) <= 6
        assert sum(one.size for one in self.queue) <= 60

    @invariant()
    def the_first_deadline_wakes_up(self) -> None:
        deadlines = [one.deadline_ns for one in self.waiting if one.deadline_ns]
        assert self.queue.due_ns(free=False) <= min(deadlines, default=FOREVER)

    def _leave(self, asks: list[Waiting]) -> None:
        for one in asks:
            assert one not in self.gone
            self.waiting.remove(one)
            self.gone.append(one)


def _level(one: Waiting) -> int:
    return min(one.priority or 2, 2)


TestQueueing = Queueing.TestCase
