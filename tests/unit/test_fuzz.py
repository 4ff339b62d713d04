"""Every parser over its saved corpus, and over what hypothesis makes of that: it parses or it refuses."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import CORPUS, TARGETS
from tests.sizes import times, tried

FILES = [(name, file) for name in TARGETS for file in sorted((CORPUS / name).iterdir())]
SLOW = {"video": 5, "image": 20, "golden_vector": 20}
"""Examples of targets that decode."""


EDIT = st.tuples(st.integers(0, 2**16), st.integers(0, 8), st.binary(max_size=8))
"""Where, how many bytes are cut out, what is put in."""


def edited(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The content after the edits."""
    changed = bytearray(content)
    for place, cut, new in edits:
        at = place % (len(changed) + 1)
        changed[at : at + cut] = new
    return bytes(changed)


@pytest.mark.parametrize(("name", "file"), FILES, ids=[f"{name}/{file.name}" for name, file in FILES])
def test_everything_in_the_corpus_is_parsed_or_refused(name: str, file: Path) -> None:
    TARGETS[name](file.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_file_of_a_corpus_is_a_valid_document(name: str) -> None:
    TARGETS[name].run((CORPUS / name / "seed").read_bytes())


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_mutated_is_parsed_or_refused(name: str) -> None:
    @settings(max_examples=times(SLOW.get(name, 60)), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([file for target, file in FILES if target == name]), st.lists(EDIT, min_size=1, max_size=4))
    def run(file: Path, edits: list[tuple[int, int, bytes]]) -> None:
        TARGETS[name](edited(file.read_bytes(), edits))
        tried["mutated documents (S8)"] += 1

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_are_parsed_or_refused(name: str) -> None:
    @settings(max_examples=SLOW.get(name, 40), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=200))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()
