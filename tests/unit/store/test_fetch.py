"""Fetching: resumed, limited, and believed only by digest."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edge_node.errors import BadInput, Refused, Unreachable
from edge_node.store.bundles import Bundles
from edge_node.store.fetch import Growing, fetch_bundle
from edge_node.store.fits import SPARE_BYTES
from edge_node.store.release import Papers
from protos.digest import Digest, digest_of
from protos.oci import BundleFile, write_manifest

WEIGHTS, LABELS = b"w" * 1000, b"cat"
MANIFEST = write_manifest(
    [
        BundleFile("model", digest_of(WEIGHTS), len(WEIGHTS)),
        BundleFile("copy", digest_of(WEIGHTS), len(WEIGHTS)),
        BundleFile("labels", digest_of(LABELS), len(LABELS)),
    ]
)
DIGEST = digest_of(MANIFEST)


class Simulated:
    """A coordinator in memory that can break off after so many bytes, or lie."""

    def __init__(self, breaks_after: int | None = None, lie: bytes | None = None) -> None:
        self.content = {digest_of(WEIGHTS): WEIGHTS, digest_of(LABELS): LABELS}
        self.breaks_after = breaks_after
        self.lie = lie
        self.asked: list[tuple[Digest, int]] = []
        self.rounds = 0

    async def manifest(self, digest: Digest) -> tuple[bytes, Papers]:
        return self.lie or MANIFEST, Papers()

    async def blobs(self, growing: Sequence[Growing], on_progress: Callable[[int], None]) -> None:
        self.rounds += 1
        held = sum(one.offset for one in growing)
        for one in growing:
            self.asked.append((one.digest, one.offset))
            content = self.content[one.digest][one.offset :][: self.breaks_after]
            held += _append(one.into, content)
            on_progress(held)
            if one.offset + len(content) < one.size:
                self.breaks_after = None
                raise Unreachable("the line is cut")


def _append(path: Path, content: bytes) -> int:
    with path.open("ab") as file:
        return file.write(content)


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    made = Bundles(tmp_path)
    made.prepare()
    return made


async def test_a_bundle_is_fetched_and_equal_files_travel_once(bundles: Bundles) -> None:
    simulated, progress = Simulated(), list[tuple[int, int]]()
    await fetch_bundle(bundles, DIGEST, simulated, lambda done, total: progress.append((done, total)))
    assert bundles.complete() == {DIGEST}
    assert (len(simulated.asked), simulated.rounds) == (2, 1)
    assert progress[-1] == (1003, 1003)
    assert progress == sorted(progress)


async def test_a_fetch_that_was_cut_goes_on_where_it_stopped(bundles: Bundles) -> None:
    simulated = Simulated(breaks_after=600)
    with pytest.raises(Unreachable):
        await fetch_bundle(bundles, DIGEST, simulated, lambda *_: None)
    await fetch_bundle(bundles, DIGEST, simulated, lambda *_: None)
    assert (digest_of(WEIGHTS), 600) in simulated.asked
    assert bundles.complete() == {DIGEST}


async def test_another_manifest_than_was_asked_for_is_refused(bundles: Bundles) -> None:
    with pytest.raises(BadInput, match="another manifest"):
        await fetch_bundle(bundles, DIGEST, Simulated(lie=b"{}"), lambda *_: None)
    assert bundles.known() == frozenset()


async def test_what_is_no_manifest_is_refused(bundles: Bundles) -> None:
    with pytest.raises(BadInput, match="not an OCI manifest"):
        await fetch_bundle(bundles, digest_of(b"[]"), Simulated(lie=b"[]"), lambda *_: None)


async def test_other_bytes_than_were_asked_for_never_enter(bundles: Bundles) -> None:
    simulated = Simulated()
    simulated.content[digest_of(WEIGHTS)] = b"x" * 1000
    with pytest.raises(BadInput, match="thrown away"):
        await fetch_bundle(bundles, DIGEST, simulated, lambda *_: None)
    assert not bundles.blobs.has(digest_of(WEIGHTS))


async def test_a_download_that_grew_too_long_begins_anew(bundles: Bundles) -> None:
    bundles.blobs.staged(digest_of(LABELS)).write_bytes(b"far too long")
    await fetch_bundle(bundles, DIGEST, Simulated(), lambda *_: None)
    assert bundles.complete() == {DIGEST}


async def test_what_does_not_fit_is_refused_before_a_byte_is_fetched(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles.blobs, "free_bytes", lambda: SPARE_BYTES + 5)
    simulated = Simulated()
    with pytest.raises(Refused, match=r"needs 1 MB, 0 MB are free at \S+: free some"):
        await fetch_bundle(bundles, DIGEST, simulated, lambda *_: None)
    assert all(bundles.blobs.staged_bytes(file.digest) == 0 for file in bundles.files(DIGEST))
