"""No node outweighs the others."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.rollouts.weighing import MOST_TIMES, weighed
from protos.evidence import Evidence, merged


def says(samples: int, good: int, errors: int = 0) -> Evidence:
    """So many answers, of which so many agree."""
    return Evidence("shelf", samples=samples, errors=errors, compared=samples, agreed=good, latency={10: samples})


def test_nodes_of_usual_differences_are_summed_as_they_are() -> None:
    busy, quiet = says(900, 900), says(100, 50)
    assert weighed([(busy,), (quiet,)]) == [busy, quiet]


def test_a_node_that_claims_a_billion_answers_is_heard_as_ten() -> None:
    honest = [(says(1000, 100),)] * 4
    total = merged(weighed([*honest, (says(10**9, 10**9),)]))
    assert total.samples == 4 * 1000 + MOST_TIMES * 1000
    assert total.latency == {10: total.samples}
    assert (total.agreed, total.compared) == (4 * 100 + MOST_TIMES * 1000, total.samples)


def test_of_two_the_one_that_says_less_is_the_measure() -> None:
    assert merged(weighed([(says(100, 0),), (says(10**6, 10**6),)])).samples == 100 + MOST_TIMES * 100


def test_one_node_alone_says_what_it_says_and_silence_is_no_measure() -> None:
    assert weighed([(says(10**6, 1),)]) == [says(10**6, 1)]
    assert weighed([(), (says(50, 1),), ()]) == [says(50, 1)]
    assert weighed([]) == []


def test_a_nodes_slices_keep_their_shares() -> None:
    liar = (says(10**6, 0), says(3 * 10**6, 0))
    first, second = weighed([(says(100, 0),), (says(100, 0),), liar])[2:]
    assert (first.samples, second.samples) == (250, 750)


@given(
    st.lists(st.lists(st.builds(says, st.integers(0, 10**9), st.just(0), st.integers(0, 99)), max_size=3), max_size=6)
)
def test_nobody_is_ever_heard_as_more_than_it_says(nodes: list[list[Evidence]]) -> None:
    assert merged(weighed(nodes)).samples <= sum(one.samples for node in nodes for one in node)
