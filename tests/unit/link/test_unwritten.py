"""The bound on what the coordinator's MQTT library has not written yet."""

from coordinator.link.unwritten import Unwritten


class Handed:
    """A message in the hands of the library."""

    def __init__(self) -> None:
        self.written = self.lost = False

    def is_published(self) -> bool:
        if self.lost:
            raise RuntimeError("lost with its connection")
        return self.written


def test_a_socket_that_takes_nothing_is_given_no_more_than_the_bound() -> None:
    unwritten, handed = Unwritten(max_bytes=100), [Handed(), Handed()]
    for one in handed:
        assert unwritten.has_room()
        unwritten.add(one, 60)
    assert not unwritten.has_room()
    handed[0].written = True
    assert unwritten.has_room()


def test_what_a_lost_connection_took_along_is_not_under_way() -> None:
    unwritten, handed = Unwritten(max_bytes=100), Handed()
    unwritten.add(handed, 200)
    assert not unwritten.has_room()
    handed.lost = True
    assert unwritten.has_room()
