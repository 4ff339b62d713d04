"""Which wave a node is in."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.rollouts.waves import enrolled, place, shares_of
from tests.unit.rollouts.examples import a_spec, node

shares = st.builds("{}%".format, st.integers(1, 100)) | st.builds(str, st.integers(1, 50))
splits = st.lists(st.integers(1, 100), min_size=1, max_size=5).map(lambda found: tuple(f"{n}%" for n in sorted(found)))


def test_waves_have_exactly_the_nodes_that_their_shares_say() -> None:
    spec = a_spec(canary="5%", waves=("25%", "100%"))
    members = enrolled("shelf-1", spec, 0, [node(i) for i in range(200)])
    assert [sum(member.wave == wave for member in members) for wave in range(3)] == [10, 40, 150]


@given(splits, st.integers(1, 60))
def test_everybody_has_a_wave_the_first_is_never_empty_and_shares_are_reached(waves: tuple[str, ...], n: int) -> None:
    spec = a_spec(waves=waves)
    members = enrolled("r-1", spec, 0, [node(i) for i in range(n)])
    assert {member.node for member in members} == {node(i) for i in range(n)}
    assert any(member.wave == 0 for member in members)
    for wave, share in enumerate(shares_of(spec)):
        reached = sum(member.wave <= wave for member in members)
        assert reached == max(1, int(n * int(share[:-1]) / 100 + 0.5))


@given(st.integers(1, 40), st.integers(0, 30))
def test_the_split_does_not_depend_on_the_order_in_which_nodes_are_listed(n: int, turned: int) -> None:
    nodes = [node(i) for i in range(n)]
    spec = a_spec(canary="10%", waves=("50%",))
    assert enrolled("r-1", spec, 0, nodes) == enrolled("r-1", spec, 0, nodes[turned:] + nodes[:turned])


@given(st.integers(1, 99))
def test_a_larger_canary_contains_the_smaller_one(percent: int) -> None:
    nodes = [node(i) for i in range(50)]
    small, large = (enrolled("r-1", a_spec(canary=f"{share}%"), 0, nodes) for share in (percent, percent + 1))
    assert {one.node for one in small if one.wave == 0} <= {one.node for one in large if one.wave == 0}


def test_another_rollout_has_another_canary() -> None:
    nodes = [node(i) for i in range(100)]
    canaries = [{m.node for m in enrolled(f"shelf-{n}", a_spec(canary="5"), 0, nodes) if m.wave == 0} for n in (1, 2)]
    assert canaries[0] != canaries[1]


def test_a_node_that_appears_later_goes_where_its_hash_falls() -> None:
    spec = a_spec(canary="5%", waves=("25%",))
    late = enrolled("shelf-1", spec, 100, [node(i) for i in range(2000)])
    counts = [sum(member.wave == wave for member in late) for wave in range(3)]
    assert counts[0] in range(60, 140)
    assert counts[1] in range(330, 470)
    assert [m for m in late if m.node == node(7)] == list(enrolled("shelf-1", spec, 5000, [node(7)]))


@given(st.integers(0, 1000))
def test_a_place_is_a_number_below_2_to_the_256(number: int) -> None:
    assert 0 <= place("shelf-1", node(number)) < 1 << 256


def test_the_last_wave_is_all_whether_or_not_it_is_written() -> None:
    assert shares_of(a_spec(waves=("10%",))) == ("10%", "100%")
    assert shares_of(a_spec(canary="1", waves=())) == ("1", "100%")
