"""Who may start next."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.rollouts.limits import cap_of, choose, in_order, tolerated
from coordinator.rollouts.states import Stage
from tests.unit.rollouts.examples import a_member, a_spec, a_view, node, views_of


def test_the_cap_is_a_number_or_a_share_and_at_least_one() -> None:
    assert cap_of(a_spec(max_parallel="50"), 10_000) == 50
    assert cap_of(a_spec(max_parallel="10%"), 25) == 2
    assert cap_of(a_spec(max_parallel="10%"), 3) == 1
    assert tolerated(a_spec(max_failures="10%"), 25) == 2
    assert tolerated(a_spec(), 25) == 0


def test_earlier_waves_start_first_then_the_hash_decides() -> None:
    members = [a_member(i, wave=i % 3) for i in range(30)]
    ordered = in_order("shelf-1", reversed(members))
    assert [member.wave for member in ordered] == sorted(member.wave for member in members)
    assert ordered == in_order("shelf-1", members)
    assert ordered != sorted(members, key=lambda member: (member.wave, member.node))


def test_a_full_cap_says_so() -> None:
    in_flight = [a_member(i, Stage.ORDERED) for i in range(5)]
    views = views_of(*(a_view(i) for i in range(6)))
    chosen = choose("shelf-1", a_spec(), 5, [a_member(5)], in_flight, views)
    assert chosen.starters == ()
    assert chosen.waiting == {node(5): "waits for a place: 5 of 5 in flight"}


def test_a_site_and_a_group_have_places_of_their_own() -> None:
    spec = a_spec(per_site=1, per_group={"rack": 1})
    views = views_of(
        a_view(1, site="a", labels={"rack": "x"}),
        a_view(2, site="a", labels={"rack": "y"}),
        a_view(3, site="b", labels={"rack": "x"}),
        a_view(4, site="c"),
    )
    ready = [a_member(i) for i in (2, 3, 4)]
    chosen = choose("shelf-1", spec, 9, ready, [a_member(1, Stage.ORDERED)], views)
    assert [member.node for member in chosen.starters] == [node(4)]
    assert chosen.waiting == {
        node(2): "waits for a place of site a: 1 of 1 in flight",
        node(3): "waits for a place of rack x: 1 of 1 in flight",
    }


@given(
    st.integers(1, 8),
    st.integers(0, 4),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=20),
)
def test_no_limit_is_ever_passed_and_nobody_waits_for_nothing(
    cap: int, per_site: int, per_rack: int, nodes: list[tuple[int, bool]]
) -> None:
    spec = a_spec(per_site=per_site, per_group={"rack": per_rack} if per_rack else {})
    views = views_of(*(a_view(i, site=f"s{n % 2}", labels={"rack": f"r{n}"}) for i, (n, _) in enumerate(nodes)))
    flying = [a_member(i, Stage.ORDERED) for i, (_, flies) in enumerate(nodes) if flies][:1]
    ready = [a_member(i) for i, (_, flies) in enumerate(nodes) if not flies]
    chosen = choose("r-1", spec, cap, ready, flying, views)
    up = [views[member.node] for member in (*flying, *chosen.starters)]
    assert len(up) <= cap
    for limit, of in ((per_site, [v.site for v in up]), (per_rack, [v.labels["rack"] for v in up])):
        assert not limit or all(of.count(value) <= limit for value in of)
    assert {m.node for m in ready} == {m.node for m in chosen.starters} | set(chosen.waiting)
    assert all(chosen.waiting.values())
    again = choose("r-1", spec, cap, [m for m in ready if m.node in chosen.waiting], [*flying, *chosen.starters], views)
    assert (again.starters, again.waiting) == ((), chosen.waiting)
