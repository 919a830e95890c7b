"""The order in which tables load: parents first; or the reference is set late, or the circle shares one request."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest
from helpers.carry import carry, make_source, prepare, same_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.cloudflare import D1
from towpath.errors import BadInput
from towpath.tables import export
from towpath.tables.manifest import NAME
from towpath.tables.order import LoadOrder, bound_by_checks, components, load_order
from towpath.tables.schema import reflect


def order_of(script: str) -> LoadOrder:
    """The order for a source by SQL, its rows looked at."""
    with closing(apsw.Connection(":memory:")) as db:
        db.execute(script)
        schema = reflect(db)
        return load_order(schema, bound_by_checks(db, schema))


def test_parents_come_first_however_they_are_declared() -> None:
    order = order_of(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, b NOT NULL REFERENCES B);"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a NOT NULL REFERENCES a (id));"
        "CREATE TABLE a (id INTEGER PRIMARY KEY)"
    )
    assert order == LoadOrder(("a", "b", "c"), {}, ())


def test_a_nullable_reference_to_a_parent_is_sent_with_its_row() -> None:
    order = order_of("CREATE TABLE c (p REFERENCES p); CREATE TABLE p (id INTEGER PRIMARY KEY)")
    assert order == LoadOrder(("p", "c"), {}, ())


def test_a_nullable_self_reference_is_set_late() -> None:
    order = order_of("CREATE TABLE folder (id INTEGER PRIMARY KEY, parent_id REFERENCES folder)")
    assert order == LoadOrder(("folder",), {"folder": ("parent_id",)}, ())


def test_a_self_reference_that_must_not_be_null_shares_one_request() -> None:
    order = order_of("CREATE TABLE node (id INTEGER PRIMARY KEY, root_id NOT NULL REFERENCES node)")
    assert order == LoadOrder(("node",), {}, (("node",),))


def test_a_circle_is_opened_where_a_reference_may_be_null() -> None:
    order = order_of(
        "CREATE TABLE store (id INTEGER PRIMARY KEY, manager_id INTEGER NOT NULL REFERENCES staff (id));"
        "CREATE TABLE staff (id INTEGER PRIMARY KEY, store_id INTEGER REFERENCES store (id))"
    )
    assert order == LoadOrder(("staff", "store"), {"staff": ("store_id",)}, ())


def test_a_circle_of_not_null_shares_one_request_and_leaves_out_its_neighbours() -> None:
    order = order_of(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b NOT NULL REFERENCES b);"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, a NOT NULL REFERENCES a, root NOT NULL REFERENCES root);"
        "CREATE TABLE root (id INTEGER PRIMARY KEY);"
        "CREATE TABLE leaf (a NOT NULL REFERENCES a)"
    )
    assert order == LoadOrder(("root", "a", "b", "leaf"), {}, (("a", "b"),))


def test_of_a_composite_reference_one_nullable_column_is_enough() -> None:
    order = order_of(
        "CREATE TABLE t (tenant NOT NULL, id NOT NULL, up, PRIMARY KEY (tenant, id),"
        " FOREIGN KEY (tenant, up) REFERENCES t (tenant, id))"
    )
    assert order.late == {"t": ("up",)}
    assert order.together == ()


@pytest.mark.parametrize(
    "check",
    [
        "up INTEGER REFERENCES t CHECK (up IS NOT NULL OR root)",
        "up INTEGER REFERENCES t, CHECK (root OR t.[UP] IS NOT NULL)",
        "up INTEGER REFERENCES t, CONSTRAINT one CHECK ((up IS NULL) = (coalesce(root, 0) <> 0))",
    ],
)
def test_a_reference_whose_check_minds_a_null_is_never_empty_for_a_while(check: str) -> None:
    order = order_of(f"CREATE TABLE t (id INTEGER PRIMARY KEY, root, {check}); INSERT INTO t VALUES (1, 0, 1)")
    assert order == LoadOrder(("t",), {}, (("t",),))


@pytest.mark.parametrize("check", ["CHECK (up <> id)", "CHECK (up > 0 OR root)", "CHECK (root <> 'up')"])
def test_a_check_that_does_not_mind_a_null_binds_nothing(check: str) -> None:
    order = order_of(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, root, up INTEGER REFERENCES t, {check});"
        "INSERT INTO t VALUES (1, 0, 2), (2, 1, 1)"
    )
    assert order == LoadOrder(("t",), {"t": ("up",)}, ())


def test_a_reference_that_others_refer_to_is_never_empty_for_a_while() -> None:
    order = order_of(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, twin INTEGER UNIQUE REFERENCES t (id));"
        "CREATE TABLE c (twin NOT NULL REFERENCES t (twin))"
    )
    assert order == LoadOrder(("t", "c"), {}, (("t",),))


def test_parents_that_do_not_move_do_not_count() -> None:
    order = order_of(
        "CREATE TABLE c (v NOT NULL REFERENCES v, gone NOT NULL REFERENCES gone); CREATE VIEW v AS SELECT 1"
    )
    assert order == LoadOrder(("c",), {}, ())


EDGE = st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans())


@given(edges=st.lists(EDGE, max_size=14))
@settings(deadline=None, max_examples=300)
def test_no_row_ever_comes_before_its_parent(edges: list[tuple[int, int, bool]]) -> None:
    columns: dict[int, list[str]] = {n: ["id INTEGER PRIMARY KEY"] for n in range(7)}
    for number, (child, parent, nullable) in enumerate(edges):
        columns[child].append(f"r{number} INTEGER {'' if nullable else 'NOT NULL'} REFERENCES t{parent} (id)")
    ddl = "".join(f"CREATE TABLE t{n} ({', '.join(c)});" for n, c in columns.items())
    order = order_of(ddl)
    assert sorted(order.tables) == sorted(f"t{n}" for n in columns)
    place = {name: number for number, name in enumerate(order.tables)}
    for number, (child, parent, nullable) in enumerate(edges):
        late = f"r{number}" in order.late.get(f"t{child}", ())
        together = any({f"t{child}", f"t{parent}"} <= set(group) for group in order.together)
        assert place[f"t{parent}"] < place[f"t{child}"] or late or together
        assert not late or nullable
        if not late and together and nullable:
            # an open reference inside a group is fine: the group defers its check
            assert place[f"t{parent}"] < place[f"t{child}"]
    for group in order.together:  # members stand next to each other, so that nothing else comes between
        places = sorted(place[name] for name in group)
        assert places == list(range(places[0], places[0] + len(group)))
    assert order == order_of(ddl)


@given(edges=st.dictionaries(st.integers(0, 7), st.frozensets(st.integers(0, 7), max_size=4), min_size=8, max_size=8))
@settings(deadline=None, max_examples=200)
def test_components_are_those_of_mutual_reach(edges: dict[int, frozenset[int]]) -> None:
    named = {str(k): {str(v) for v in vs} for k, vs in edges.items()}
    reach = {k: {k} for k in named}
    for _ in named:
        for k in named:
            reach[k] |= {w for v in reach[k] for w in named[v]}
    found = components(named)
    assert sorted(n for part in found for n in part) == sorted(named)
    for number, part in enumerate(found):
        later = {n for rest in found[number + 1 :] for n in rest}
        for node in part:
            assert {n for n in reach[node] if node in reach[n]} == set(part)
            assert not named[node] & later


CIRCLE = """
CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER NOT NULL REFERENCES b (id), body TEXT);
CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a (id), best INTEGER REFERENCES a (id));
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
INSERT INTO a SELECT i, 401 - i, '{body}' FROM n;
INSERT INTO b SELECT id, id % 400 + 1, id FROM a;
"""


def test_a_circle_of_not_null_arrives(d1: D1, tmp_path: Path) -> None:
    make_source(tmp_path / "s.sqlite", CIRCLE.replace("{body}", "it''s " * 200)).close()
    carried = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
    assert [c.table for c in carried.manifest.chunks if c.kind == "rows"] == ["a, b"]
    for table in carried.exporter.schema.moving:
        assert same_rows(carried.exporter.db, d1, table)
    assert carried.compare().equal


def test_a_circle_too_large_for_one_request_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOGETHER_BYTES", 10_000)
    make_source(tmp_path / "s.sqlite", CIRCLE.replace("{body}", "")).close()
    with pytest.raises(BadInput) as caught:
        prepare(tmp_path / "s.sqlite", tmp_path / "run")
    assert caught.value.object == "a ↔ b"
    assert "nullable" in caught.value.next
    assert "\n" not in caught.value.line
    assert not (tmp_path / "run" / NAME).exists()


def test_rows_whose_check_needs_the_reference_arrive(d1: D1, tmp_path: Path) -> None:
    with closing(
        make_source(
            tmp_path / "s.sqlite",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t, CHECK (up IS NOT NULL OR id = 3));"
            "INSERT INTO t VALUES (1, 2), (2, 3), (3, NULL)",
        )
    ):
        carried = carry(tmp_path / "s.sqlite", tmp_path / "run", d1)
    assert carried.compare().equal
