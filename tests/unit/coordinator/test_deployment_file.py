"""A deployment's YAML is read strictly, and complaints name the line."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.cli.deployment_file import read_deployment_file
from coordinator.errors import BadInput

GOOD = """\
name: shelf
selector: site=store-12
model: mobilenet-v2@1
pipelines:
  - name: shelf
    source: shelf
"""


def read(text: str, folder: Path) -> dict[str, object]:
    """Read the text as a file."""
    file = folder / "shelf.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return read_deployment_file(file)


def test_a_good_file_is_read_as_it_stands(tmp_path: Path) -> None:
    assert read(GOOD, tmp_path)["pipelines"] == [{"name": "shelf", "source": "shelf"}]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD.replace("selector", "selecter"), r"shelf\.yaml, line 2: unknown key 'selecter'.*did you mean 'selector'"),
        (GOOD.replace("source:", "sauce:"), r"line 6: unknown key 'sauce'.*did you mean 'source'"),
        (GOOD.replace("@1", ""), r"model 'mobilenet-v2': write name@version"),
        (GOOD.replace("name: shelf\nsel", "name: Shelf!\nsel"), r"line 1: name 'Shelf!' is not a name"),
        (GOOD + "    fps: fast\n", r"line 7: 'pipelines\[0\]\.fps' must be a number, not text"),
        (GOOD + "    fps: 0\n", "fps must be above 0"),
        (GOOD + "    fps: .nan\n", "fps must be a finite number"),
        (GOOD + "    threshold: .inf\n", "threshold must be a finite number"),
        (GOOD + f"    priority: {'9' * 5000}\n", "is not YAML: Exceeds the limit"),
        (GOOD.replace("name: shelf\nsel", "name: 2024-99-99\nsel"), "is not YAML: month must be in"),
        (GOOD + f"    live: {{state: [{'label,' * 15_000}]}}\n", "must have at most 3 entries"),
        (GOOD + "  - name: shelf\n    source: door\n", "two pipelines have the same name"),
        (GOOD + "name: again\n", "line 7: the key 'name' stands twice"),
        (GOOD.replace("- name", "-\tname"), "line 5"),
        (GOOD.replace("model: mobilenet-v2@1\n", ""), "the key 'model' is missing"),
        ("- a\n- b\n", "is not a deployment: it needs name, selector, model and pipelines"),
        ("", "is not a deployment"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("? [a, b]\n: c\n", "line 1"),
        ("[" * 3000, r"shelf\.yaml"),
        ("\ud800", "is not UTF-8 text"),
        ("x" * 300_000, "is it a deployment"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=complaint) as raised:
        read(text, tmp_path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.yaml: No such file or directory"):
        read_deployment_file(tmp_path / "absent.yaml")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=100) | st.text(alphabet="a:-[]{}!&*?|>%@`'\"#\n ,\t", max_size=60))
def test_any_text_is_a_deployment_or_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    try:
        read(text, tmp_path)
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017 - any text may also be fine


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(BadInput, match="/dev/zero has more than 262144 bytes"):
        read_deployment_file(Path("/dev/zero"))
