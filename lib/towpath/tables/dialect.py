"""What D1 knows of SQLite: functions, modules, collations; and a sandbox that refuses as D1 does.

Functions: asked of the local runtime (workerd 2026-11-17) one by one, and equal to the list in workerd's source,
src/workerd/util/sqlite.c++.  D1 checks CHECK, DEFAULT, generated columns and indexes when they are created, but
a view or a trigger only when it is used: the sandbox uses each once, so that nothing broken is carried over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import apsw

from towpath.cloudflare.limits import PAID, Limits
from towpath.tables.ddl import spoken

FUNCTIONS = frozenset(
    (
        *(
            "abs",
            "changes",
            "char",
            "coalesce",
            "concat",
            "concat_ws",
            "format",
            "glob",
            "hex",
            "ifnull",
            "iif",
            "instr",
        ),
        *("last_insert_rowid", "length", "like", "likelihood", "likely", "lower", "ltrim", "max", "min", "nullif"),
        *("octet_length", "printf", "quote", "random", "randomblob", "replace", "round", "rtrim", "sign", "substr"),
        *("substring", "total_changes", "trim", "typeof", "unhex", "unicode", "unlikely", "upper", "zeroblob"),
        *("current_date", "current_time", "current_timestamp", "date", "datetime", "julianday", "strftime", "time"),
        *("timediff", "unixepoch"),
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "cos", "cosh", "degrees", "exp", "floor"),
        *("ln", "log", "log2", "mod", "pi", "pow", "radians", "sin", "sinh", "sqrt", "tan", "tanh", "trunc"),
        *("avg", "count", "group_concat", "string_agg", "sum", "total"),
        *("cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank"),
        *("rank", "row_number"),
        *("->", "->>", "json", "json_array", "json_array_length", "json_each", "json_extract", "json_group_array"),
        *("json_group_object", "json_insert", "json_object", "json_patch", "json_quote", "json_remove", "json_replace"),
        *("json_set", "json_tree", "json_type", "json_valid", "jsonb", "jsonb_array", "jsonb_extract"),
        *("jsonb_group_array", "jsonb_group_object", "jsonb_insert", "jsonb_object", "jsonb_patch", "jsonb_remove"),
        *("jsonb_replace", "jsonb_set"),
        *("bm25", "highlight", "match", "snippet", "rtreecheck"),
    )
)
SAME = {
    "power": "pow",
    "ceiling": "ceil",
    "log10": "log",
    "if": "iif",
}  # refused by name only: sqlite.org/lang_mathfunc.html
MODULES = ("fts5", "fts5vocab", "rtree", "rtree_i32")
COLLATIONS = ("BINARY", "NOCASE", "RTRIM")
MIGRATION_TABLES = {  # where tools that make schemas keep what they have done
    "alembic_version": "Alembic",
    "django_migrations": "Django",
    "schema_migrations": "Rails, golang-migrate or dbmate",
    "ar_internal_metadata": "Rails",
    "flyway_schema_history": "Flyway",
    "databasechangelog": "Liquibase",
    "knex_migrations": "Knex",
    "_prisma_migrations": "Prisma",
    "__drizzle_migrations": "Drizzle",
    "__efmigrationshistory": "Entity Framework",
    "sequelizemeta": "Sequelize",
    "goose_db_version": "goose",
    "_sqlx_migrations": "SQLx",
}
OWN_TABLES = ("_cf_kv", "_cf_metadata", "_cf_alarm")  # Cloudflare's own, found in files that the local runtime made


class Sandbox:
    """A database in memory with D1's limits.

    While it is `guarded` it also has D1's rights: a function or a module that D1 has not is refused.  Names that only
    the source knows (functions, collations) may be given a stand-in, so that its declarations compile; which functions
    that D1 has not the last statement used is told by `refused`.
    """

    def __init__(self, limits: Limits = PAID) -> None:
        self.db = apsw.Connection(":memory:", statementcachesize=0)  # a cached statement would not be compiled again
        self.limits = limits
        self.refused: set[str] = set()
        self.guarded = True
        for name, value in (
            (apsw.SQLITE_LIMIT_SQL_LENGTH, limits.d1_statement_bytes),
            (apsw.SQLITE_LIMIT_COLUMN, limits.d1_columns),
            (apsw.SQLITE_LIMIT_EXPR_DEPTH, limits.d1_expression_depth),
            (apsw.SQLITE_LIMIT_COMPOUND_SELECT, limits.d1_compound_terms),
            (apsw.SQLITE_LIMIT_FUNCTION_ARG, limits.d1_function_arguments),
            (apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, limits.d1_pattern_bytes),
            (apsw.SQLITE_LIMIT_TRIGGER_DEPTH, limits.d1_trigger_depth),
        ):
            self.db.limit(name, value)
        self.db.authorizer = self._authorize

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def stand_in(self, functions: Iterable[str], collations: Iterable[str]) -> None:
        """Make names known that only the source's application registers."""
        for name in functions:
            self.db.create_scalar_function(name, _nothing, -1, deterministic=True)
        for name in collations:
            self.db.create_collation(name, _equal)

    def known(self, function: str) -> bool:
        """Whether SQLite itself has a function of this name."""
        return bool(self.db.execute("SELECT 1 FROM pragma_function_list WHERE name = ?", (function,)).fetchall())

    def run(self, sql: str) -> str:
        """Run a statement; return "" or why it failed.  `refused` then names the functions D1 has not."""
        self.refused = set()
        try:
            self.db.execute(sql).fetchall()
        except (apsw.Error, UnicodeError) as error:
            if self.refused and self.guarded:
                return f"D1 has no function {', '.join(sorted(self.refused))}"
            return str(error)
        return self.pattern(sql)

    def pattern(self, sql: str) -> str:
        """What is wrong with a pattern of LIKE or GLOB that a statement writes out; "" if nothing is.

        SQLite itself looks only when the pattern is used.
        """
        words = spoken(sql)
        for operator, value in itertools.pairwise(words):
            if operator.word("LIKE", "GLOB") and value.text.startswith("'"):
                size = len(value.text[1:-1].replace("''", "'").encode("utf-8", "surrogatepass"))
                if size > self.limits.d1_pattern_bytes:
                    return f"a pattern of {size} bytes, D1 takes {self.limits.d1_pattern_bytes}"
        return ""

    def unguarded(self, sql: str) -> str:
        """`run` with the source's rights instead of D1's."""
        self.guarded = False
        try:
            return self.run(sql)
        finally:
            self.guarded = True

    def _authorize(self, operation: int, one: str | None, two: str | None, *_: str | None) -> int:
        if operation == apsw.SQLITE_FUNCTION and str(two).lower() not in FUNCTIONS:
            self.refused.add(str(two).lower())
            return apsw.SQLITE_DENY if self.guarded else apsw.SQLITE_OK
        if not self.guarded:
            return apsw.SQLITE_OK
        if operation == apsw.SQLITE_CREATE_VTABLE and str(two).lower() not in MODULES:
            return apsw.SQLITE_DENY
        if operation in (apsw.SQLITE_CREATE_TABLE, apsw.SQLITE_CREATE_INDEX) and str(one).lower().startswith("_cf_"):
            return apsw.SQLITE_DENY
        return apsw.SQLITE_OK


def _nothing(*_: Any) -> None:
    return None


def _equal(left: str, right: str) -> int:
    return (left > right) - (left < right)
