"""The table of attribute values: what it counts, and what its views show, whatever the changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.fusion.attributes import Vocabulary
from itemlens_server.fusion.head import Array
from itemlens_server.fusion.value_table import FEW, NONE, Values, ValueTable

TAGS = st.lists(st.sampled_from("uvwxyz"), unique=True)
# Each step gives an item other values, removes it, or compacts the table.
STEPS = st.lists(
    st.one_of(st.none(), st.sampled_from("abcd"), st.tuples(st.sampled_from("abcd"), TAGS)), max_size=40
)


def cosine(values: Values, a: int, b: int) -> float:
    """The cosine of two columns, weighted by idf."""
    own, other = (set(values.codes[:, n].tolist()) - {0} for n in (a, b))
    product = sum(float(values.idf[code]) ** 2 for code in own & other)
    return product / float(values.norms[a] * values.norms[b])


@given(STEPS)
def test_items_are_as_alike_as_in_a_table_of_these_items_alone(
    steps: list[str | tuple[str, list[str]] | None],
) -> None:
    table, columns, items = ValueTable(), dict[str, int](), dict[str, list[str]]()
    for step in steps:
        if step is None:
            table, moved = table.compacted(np.asarray(list(columns.values()), np.int32))
            columns = dict(zip(columns, moved.tolist(), strict=True))
            continue
        item_id = step if isinstance(step, str) else step[0]
        if isinstance(step, str):
            table.discard(columns.pop(item_id, NONE))
            items.pop(item_id, None)
        else:
            items[item_id] = step[1]
            tags = {"tags": step[1]}
            old = columns.get(item_id)
            columns[item_id] = table.add(tags) if old is None else table.replace(old, tags)
    fresh = ValueTable()
    places = {item_id: fresh.add({"tags": own}) for item_id, own in items.items()}
    table._vocabulary._measured = 0  # as if the number of items had changed much since
    mine, expected = table.view(), fresh.view()
    for a in items:
        assert (columns[a] == NONE) == (not items[a])
        for b in items:
            assert cosine(mine, columns[a], columns[b]) == pytest.approx(
                cosine(expected, places[a], places[b]), abs=1e-6
            )


def test_a_view_does_not_change() -> None:
    table = ValueTable()
    table.add({"brand": "x"})
    table.add({"brand": "x", "size": "s"})
    view = table.view()
    codes, norms = view.codes.copy(), view.norms.copy()
    for n in range(2 * FEW):
        table.add({"brand": f"b{n % 9}", "tags": ["1", "2", "3"]})
        if n % 50 == 0:
            table.view()
    np.testing.assert_array_equal(view.codes, codes)
    np.testing.assert_array_equal(view.norms, norms)


def test_norms_are_those_of_the_present_weights() -> None:
    table = ValueTable()
    for n in range(3 * FEW):
        table.add({"brand": f"b{n % 7}", "size": "sml"[n % 3]})
        if n % 10 == 0:
            view = table.view()
            np.testing.assert_allclose(view.norms, Values.of(view.codes, view.idf).norms)


def test_sums_are_over_the_values_of_each_column() -> None:
    table = ValueTable()
    for tags in ("a", "", "ab", "bc"):
        table.add({"tags": list(tags)})
    values = table.view()
    assert values.sums(np.asarray([0.0, 1.0, 10.0, 100.0], np.float32)).tolist() == [0.0, 1.0, 11.0, 110.0]


def test_values_that_no_item_has_are_forgotten() -> None:
    table = ValueTable()
    columns = [table.add({"title": f"title {n}"}) for n in range(10)]
    for column in columns[1:]:
        table.discard(column)
    small, moved = table.compacted(np.asarray(columns[:1], np.int32))
    assert len(small.view().idf) == 2 and moved.tolist() == [1]


def test_a_view_beside_a_writer_has_no_values_that_its_idf_lacks() -> None:
    class Beside(Vocabulary):
        """Something is added as soon as idf was read."""

        @property
        def idf(self) -> Array:
            found = super().idf
            if not added:
                added.append(table.add({"brand": "new"}))
            return found

    added: list[int] = []
    table = ValueTable(Beside())
    table.add({"brand": "old"})
    view = table.view()
    assert added and view.codes.max() < len(view.idf)
