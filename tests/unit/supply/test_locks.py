"""Locks hold names, versions and hashes, nothing else; and what an audit complains of."""

import pytest

from tests.audit import complaints, rounds
from tests.locks import FOLDER, Pin, locks, parse_lock

HASH = "0" * 64


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.txt")))
def test_every_requirement_of_a_lock_has_a_version_and_hashes_and_no_address(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    assert "://" not in text
    assert list(parse_lock(text)), "an empty lock"


@pytest.mark.parametrize(
    "line",
    [
        f"six>=1.17 --hash=sha256:{HASH}",
        "six==1.17.0",
        "six==1.17.0 --hash=md5:00",
        f"six @ https://example.org/six.whl --hash=sha256:{HASH}",
        "--index-url https://example.org/simple",
        "--find-links /mirror",
        "-e .",
        f"six==1.17.0 --hash=sha256:{HASH} --global-option=x",
    ],
)
def test_any_other_line_is_noticed(line: str) -> None:
    with pytest.raises(ValueError, match="not a pinned requirement"):
        list(parse_lock(line))


def test_a_package_has_the_same_hashes_in_every_lock() -> None:
    seen: dict[tuple[str, str], Pin] = {}
    for lock in locks().values():
        for pin in lock:
            assert seen.setdefault((pin.name, pin.version), pin) == pin


def pin(name: str, version: str = "1") -> Pin:
    return Pin(name, version, frozenset({HASH}))


def test_a_package_in_two_versions_is_audited_in_two_rounds() -> None:
    assert rounds([pin("b", "2"), pin("a"), pin("b", "1"), pin("a")]) == [[pin("a"), pin("b", "1")], [pin("b", "2")]]


def test_an_unaudited_package_and_a_vulnerability_are_complaints() -> None:
    answer = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": []},
            {"name": "b", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]},
            {"name": "c", "skip_reason": "not found"},
        ]
    }
    assert complaints([pin("a"), pin("b"), pin("c"), pin("d")], answer) == [
        "c 1 was not audited",
        "d 1 was not audited",
        "b 1: CVE-1, repaired in 2",
    ]
