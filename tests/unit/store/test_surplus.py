"""Old versions go by quota: the least recently used first, none that is needed."""

from hypothesis import given
from hypothesis import strategies as st

from edge_node.store.surplus import LEAVE_FREE, Held, size_of, surplus
from protos.digest import Digest, digest_of

BLOBS = [digest_of(bytes([number])) for number in range(6)]
BUNDLES = [digest_of(b"bundle %d" % number) for number in range(6)]
SIZES = dict(zip(BLOBS, (10, 20, 30, 40, 50, 60), strict=True))
holdings = st.dictionaries(
    st.sampled_from(BUNDLES),
    st.builds(
        lambda blobs, used: Held({blob: SIZES[blob] for blob in blobs}, used),
        st.sets(st.sampled_from(BLOBS), min_size=1),
        st.floats(0, 100),
    ),
)
needs = st.frozensets(st.sampled_from(BUNDLES))


def held(number: int, used: float) -> Held:
    return Held({BLOBS[number]: SIZES[BLOBS[number]]}, used)


def test_the_least_recently_used_goes_first_and_only_until_the_rest_fits() -> None:
    on_disk = {BUNDLES[0]: held(0, 3.0), BUNDLES[1]: held(1, 1.0), BUNDLES[2]: held(2, 2.0)}
    assert surplus(on_disk, (), 60) == ()
    assert surplus(on_disk, (), 59) == (BUNDLES[1],)
    assert surplus(on_disk, (), 39) == (BUNDLES[1], BUNDLES[2])
    assert surplus(on_disk, (BUNDLES[1],), 39) == (BUNDLES[2],)
    assert surplus(on_disk, (), 0) == (BUNDLES[1], BUNDLES[2], BUNDLES[0])


def test_a_blob_that_two_versions_share_counts_once() -> None:
    on_disk = {BUNDLES[0]: held(5, 1.0), BUNDLES[1]: held(5, 2.0)}
    assert size_of(on_disk.values()) == 60
    assert surplus(on_disk, (), 60) == ()


def test_a_disk_that_fills_up_takes_from_the_quota() -> None:
    on_disk = {BUNDLES[0]: held(0, 1.0)}
    assert surplus(on_disk, (), 1000, LEAVE_FREE) == ()
    assert surplus(on_disk, (), 1000, LEAVE_FREE - 1) == (BUNDLES[0],)


@given(holdings, needs, st.integers(0, 250))
def test_what_is_needed_stays_and_the_rest_keeps_the_quota(
    on_disk: dict[Digest, Held], needed: frozenset[Digest], quota: int
) -> None:
    removed = surplus(on_disk, needed, quota)
    left = {digest: one for digest, one in on_disk.items() if digest not in removed}
    assert not needed & set(removed)
    assert size_of(left.values()) <= quota or left.keys() <= needed
    for number in range(len(removed)):
        before = {digest: one for digest, one in on_disk.items() if digest not in removed[:number]}
        assert size_of(before.values()) > quota, "nothing goes that fits"
    younger = [on_disk[digest].used for digest in left.keys() - needed]
    assert all(on_disk[gone].used <= used for gone in removed for used in younger)
