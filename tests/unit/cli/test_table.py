"""Aligned columns."""

from edge_node.cli.table import table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    text = table(("name", "ms"), [("a", "1.5"), ("longer", "10.25")], right=frozenset({1}))
    assert text.splitlines() == ["NAME       MS", "a         1.5", "longer  10.25"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert table(("a", "b"), []) == "A  B"
