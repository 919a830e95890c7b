"""Every conversion turned round: a cell that the fit can make goes back to the source, and comes forward as it was.

Any value of any type is carried forward through each conversion of its kind.  Then the target's rows change places and
are given to new rows, and all of it goes back.  What comes forward again must be the target's, cell by cell.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers.fitting import rule
from helpers.return_trip import ReturnTrip
from helpers.server_values import SCALARS, Texts, array_text
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from towpath.fitting.conversions import CONVERSIONS
from towpath.fitting.inverses import CHOSEN, INVERSES
from towpath.fitting.source import kind_of
from towpath.fitting.spec import BackRule, ColumnRule, Fit
from towpath.local.postgresql import Postgresql
from towpath.postgresql.relations import Column, literal

ROWS = 4
LISTS: dict[str, Texts] = {
    f"{name}[]": st.lists(st.none() | SCALARS[name].values, max_size=3).map(array_text)
    for name in ("text", "int4", "numeric", "bool", "timestamptz")
}
TYPES = {**{name: (one.declared, one.values) for name, one in SCALARS.items()}}
TYPES |= {name: (name, values) for name, values in LISTS.items()} | {"bpchar[]": ("char(40)[]", LISTS["text[]"])}
# Near the bounds of money its cents, written as a real, are rounded past them: such a value is refused by name (CU209).
_MONEY = st.integers(-(10**14), 10**14).map(lambda cents: format(Decimal(cents).scaleb(-2), "f"))
TYPES |= {"money": ("money", _MONEY)}
TABLES = {
    name: f"t{number}" for number, name in enumerate(TYPES) if not name.startswith("reg")
}  # oids of other objects


def forms(base: str) -> list[str]:
    """The conversions that take a type."""
    kind = kind_of(Column("c", base, base, False))
    return [name for name, of in CONVERSIONS if of == kind]


RULES = Fit(
    tuple(
        rule(
            f"public.{table}",
            table,
            {"id": "id", **{f"c_{form}": ColumnRule(source=f"c_{form}", form=form) for form in forms(base)}},
            back={
                f"c_{form}": BackRule(target=f"c_{form}", form=form)
                for form in forms(base)
                if (form, kind_of(Column("c", base, base, False))) in CHOSEN
            },
        )
        for base, table in TABLES.items()
    )
)
TARGET = "".join(
    f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {', '.join(map('c_{}'.format, forms(base)))});"
    for base, table in TABLES.items()
)


def test_every_conversion_has_its_inverse_or_is_the_owners_to_choose() -> None:
    assert CONVERSIONS.keys() == INVERSES.keys() | CHOSEN.keys()
    assert not INVERSES.keys() & CHOSEN.keys()


def test_every_conversion_is_drawn() -> None:
    drawn = {(form, kind_of(Column("c", base, base, False))) for base in TABLES for form in forms(base)}
    assert drawn == CONVERSIONS.keys()


@given(data=st.data())
@settings(  # no shrinking: each example is a database
    max_examples=2, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_what_goes_back_comes_forward_as_it_was(
    data: st.DataObject, postgresql_server: Postgresql, database: str
) -> None:
    source = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
    for base, table in TABLES.items():
        declared, values = TYPES[base]
        columns = ", ".join(f"c_{form} {declared}" for form in forms(base))
        source += f"CREATE TABLE {table} (id int PRIMARY KEY, {columns});"
        for number in range(ROWS):
            cells = ", ".join(f"{literal(data.draw(values))}" for _ in forms(base))
            source += f"INSERT INTO {table} VALUES ({number}, {cells});"
    with TemporaryDirectory() as folder:
        trip = ReturnTrip.begin(postgresql_server, database, Path(folder) / "trip", source, TARGET, RULES)
        for base, table in TABLES.items():
            named = ", ".join(f"c_{form}" for form in forms(base))
            trip.write(
                f"INSERT INTO {table} SELECT id + {ROWS}, {named} FROM {table}",
                f"UPDATE {table} SET ({named}) = (SELECT {named} FROM {table} AS o WHERE o.id = {table}.id + 1)"
                f" WHERE id < {ROWS - 1}",
            )
        trip.back()
