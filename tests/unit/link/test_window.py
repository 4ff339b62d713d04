"""The bound on what was handed to the MQTT library."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edge_node.link.window import Window


@dataclass
class Sent:
    """A message that is confirmed when the test says so."""

    published: bool = False

    def is_published(self) -> bool:
        return self.published


def test_it_is_full_in_messages() -> None:
    window = Window(2, 1000)
    first = Sent()
    for sent in (first, Sent()):
        assert window.has_room(1)
        window.add(sent, 1)
    assert not window.has_room(1)
    first.published = True
    assert window.has_room(1)


def test_it_is_full_in_bytes() -> None:
    window = Window(100, 1000)
    window.add(Sent(), 900)
    assert window.has_room(100)
    assert not window.has_room(101)


def test_a_message_larger_than_the_window_goes_alone() -> None:
    window = Window(100, 1000)
    assert window.has_room(5000)
    window.add(Sent(), 5000)
    assert not window.has_room(0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5))))
def test_it_never_holds_more_than_its_bounds(steps: list[tuple[int, int]]) -> None:
    window, under_way = Window(5, 100), list[tuple[Sent, int]]()
    for size, confirmed in steps:
        if window.has_room(size):
            sent = Sent()
            window.add(sent, size)
            under_way.append((sent, size))
        for sent, _ in under_way[:confirmed]:
            sent.published = True
        under_way = [(sent, size) for sent, size in under_way if not sent.published]
        assert len(under_way) <= 5
        assert sum(size for _, size in under_way) <= 100
        assert window.unconfirmed() == [sent for sent, _ in under_way]
