"""SECURITY.md speaks of what there is: its tests exist, and every promise has its place."""

import re

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_tests_that_it_names_are_there() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", PAGE))
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("number", range(1, 13))
def test_every_promise_about_security_has_its_place(number: int) -> None:
    assert re.search(rf"\bS{number}\b", PAGE)


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert [link for link in links if not (ROOT / link).exists()] == []
