"""The limits of Cloudflare's products, as data: what a source is measured against before anything is written.

Every row names the page it was read from and how sure it is.  Several limits are not enforced by the local runtime
(`local`), so a rehearsal that passes proves nothing about them: inventory must check them itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DOCS = "https://developers.cloudflare.com"
KB, MB, GB, TB = 1000, 1000**2, 1000**3, 1000**4
MIB, GIB, TIB = 1024**2, 1024**3, 1024**4
UNLIMITED = 2**62  # stands for: no limit


class Evidence(StrEnum):
    """How a limit is known."""

    MEASURED = "measured"  # documented, and the local runtime enforces it so
    DOCUMENTED = "documented"  # documented; the local runtime does not enforce it, or it was not tried
    REPORTED = "reported"  # no page says it; other people measured it on the real service
    SOURCE = "source"  # read in workerd's source


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.  `free` and `paid` are the values of the two plans, `local` what the local runtime enforces (None: not
    at all, or not tried), all in `unit`."""

    name: str  # the field of Limits
    title: str
    unit: str
    free: int
    paid: int
    local: int | None
    evidence: Evidence
    source: str
    note: str = ""


def _same(
    name: str, title: str, unit: str, value: int, local: int | None, evidence: Evidence, page: str, note: str = ""
) -> Limit:
    return Limit(name, title, unit, value, value, local, evidence, DOCS + page, note)


def _plans(name: str, title: str, unit: str, free: int, paid: int, page: str, note: str = "") -> Limit:
    return Limit(name, title, unit, free, paid, None, Evidence.DOCUMENTED, DOCS + page, note)


_D1, _R2, _KV = "/d1/platform/limits/", "/r2/platform/limits/", "/kv/platform/limits/"
_QUEUES, _WORKERS, _PAGES = "/queues/platform/limits/", "/workers/platform/limits/", "/pages/platform/limits/"
_API = "/fundamentals/api/reference/limits/"
_D, _M, _R, _S = Evidence.DOCUMENTED, Evidence.MEASURED, Evidence.REPORTED, Evidence.SOURCE

LIMITS: tuple[Limit, ...] = (
    _plans("d1_databases", "databases of an account", "databases", 10, 50_000, _D1),
    _plans("d1_database_bytes", "size of a database", "bytes", 500 * MB, 10 * GB, _D1, "cannot be raised"),
    _plans("d1_account_bytes", "storage of an account", "bytes", 5 * GB, TB, _D1),
    _plans("d1_time_travel_days", "days that Time Travel goes back", "days", 7, 30, _D1),
    _plans("d1_queries_per_invocation", "queries in one call of a Worker", "queries", 50, 1000, _D1),
    _same("d1_statement_bytes", "length of a SQL statement", "bytes", 100_000, 100_000, _M, _D1, "UTF-8 bytes"),
    _same("d1_parameters", "bound parameters of a statement", "parameters", 100, 100, _M, _D1),
    _same("d1_columns", "columns of a table, and of a result", "columns", 100, 100, _M, _D1),
    _same(
        "d1_row_bytes",
        "size of a row, a text or a blob",
        "bytes",
        2_000_000,
        8_388_642,
        _D,
        _D1,
        "not enforced locally",
    ),
    _same("d1_function_arguments", "arguments of a function", "arguments", 32, 127, _D, _D1, "127 locally"),
    _same("d1_pattern_bytes", "length of a LIKE or GLOB pattern", "bytes", 50, 50, _M, _D1),
    _same("d1_query_seconds", "duration of a query, and of a batch", "seconds", 30, None, _D, _D1),
    _same("d1_restores", "Time Travel restores of a database in ten minutes", "restores", 10, None, _D, _D1),
    _same("d1_connections", "connections of one call of a Worker", "connections", 6, None, _D, _D1),
    _same("d1_compound_terms", "terms of a compound SELECT", "terms", 5, 5, _R, _D1, "multi-row VALUES is exempt"),
    _same("d1_expression_depth", "depth of an expression", "levels", 100, 100, _S, _D1),
    _same("d1_join_tables", "tables of a join", "tables", 64, 64, _S, _D1),
    _same("d1_trigger_depth", "depth of triggers", "levels", 10, None, _S, _D1),
    _same(
        "d1_import_bytes",
        "size of an import file",
        "bytes",
        5 * GIB,
        None,
        _D,
        "/d1/best-practices/import-export-data/",
    ),
    _same("r2_object_bytes", "size of an object", "bytes", 5 * TIB, None, _D, _R2, "a little less for multipart"),
    _same("r2_put_bytes", "size of a single upload", "bytes", 5 * GIB, None, _D, _R2),
    _same("r2_parts", "parts of a multipart upload", "parts", 10_000, None, _D, _R2),
    _same(
        "r2_part_bytes", "smallest part but the last", "bytes", 5 * MIB, 5 * MIB, _M, _R2, "all but the last are equal"
    ),
    _same("r2_key_bytes", "length of a key", "bytes", 1024, 1024, _M, _R2, "UTF-8 bytes after NFC"),
    _same("r2_metadata_bytes", "metadata of an object", "bytes", 8192, 8192, _M, _R2),
    _same("r2_writes_per_key", "writes to the same key in a second", "writes", 1, None, _D, _R2),
    _plans("kv_writes_per_day", "writes of an account in a day", "writes", 1000, UNLIMITED, _KV, "paid: no limit"),
    _plans("kv_account_bytes", "storage of an account", "bytes", GB, UNLIMITED, _KV, "paid: no limit"),
    _same("kv_value_bytes", "size of a value", "bytes", 25 * MIB, 25 * MIB, _M, _KV),
    _same("kv_key_bytes", "length of a key", "bytes", 512, 512, _M, _KV),
    _same("kv_metadata_bytes", "metadata of a key", "bytes", 1024, 1024, _M, _KV),
    _same("kv_bulk_pairs", "pairs of a bulk write", "pairs", 10_000, 10_000, _M, "/kv/api/write-key-value-pairs/"),
    _same("kv_least_ttl", "shortest time to live", "seconds", 60, 60, _M, "/kv/api/write-key-value-pairs/"),
    _same("kv_writes_per_key", "writes to the same key in a second", "writes", 1, None, _D, _KV),
    _plans("queues_retention_seconds", "longest stay of a message", "seconds", 86_400, 14 * 86_400, _QUEUES),
    _same("queues_message_bytes", "size of a message", "bytes", 128 * KB, 128 * KB, _M, _QUEUES),
    _same("queues_batch", "messages of a batch", "messages", 100, 100, _M, _QUEUES),
    _same("queues_rate", "messages of a queue in a second", "messages", 5000, None, _D, _QUEUES),
    _same("queues_backlog_bytes", "backlog of a queue", "bytes", 25 * GB, None, _D, _QUEUES),
    _same("queues_delay_seconds", "longest delay of a message", "seconds", 86_400, None, _D, _QUEUES),
    _plans("workers_cpu_ms", "CPU time of a request", "milliseconds", 10, 300_000, _WORKERS, "paid: 30,000 by default"),
    _plans("workers_subrequests", "subrequests of a request", "requests", 50, 10_000, _WORKERS),
    _same("workers_memory_bytes", "memory of an isolate", "bytes", 128 * MB, None, _D, _WORKERS),
    _same("workers_request_bytes", "request body (Free and Pro zones)", "bytes", 100 * MB, None, _D, _WORKERS),
    _plans("pages_files", "files of a site", "files", 20_000, 100_000, _PAGES),
    _same("pages_file_bytes", "size of a site's file", "bytes", 25 * MIB, None, _D, _PAGES),
    _same("api_requests", "API requests of a token in five minutes", "requests", 1200, None, _D, _API),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one plan by name: `Limits.of("free").d1_database_bytes`.  Units stand in LIMITS."""

    d1_databases: int
    d1_database_bytes: int
    d1_account_bytes: int
    d1_time_travel_days: int
    d1_queries_per_invocation: int
    d1_statement_bytes: int
    d1_parameters: int
    d1_columns: int
    d1_row_bytes: int
    d1_function_arguments: int
    d1_pattern_bytes: int
    d1_query_seconds: int
    d1_restores: int
    d1_connections: int
    d1_compound_terms: int
    d1_expression_depth: int
    d1_join_tables: int
    d1_trigger_depth: int
    d1_import_bytes: int
    r2_object_bytes: int
    r2_put_bytes: int
    r2_parts: int
    r2_part_bytes: int
    r2_key_bytes: int
    r2_metadata_bytes: int
    r2_writes_per_key: int
    kv_writes_per_day: int
    kv_account_bytes: int
    kv_value_bytes: int
    kv_key_bytes: int
    kv_metadata_bytes: int
    kv_bulk_pairs: int
    kv_least_ttl: int
    kv_writes_per_key: int
    queues_retention_seconds: int
    queues_message_bytes: int
    queues_batch: int
    queues_rate: int
    queues_backlog_bytes: int
    queues_delay_seconds: int
    workers_cpu_ms: int
    workers_subrequests: int
    workers_memory_bytes: int
    workers_request_bytes: int
    pages_files: int
    pages_file_bytes: int
    api_requests: int

    @classmethod
    def of(cls, plan: str) -> Limits:
        """The limits of the plan `free` or `paid`.  Raises KeyError for another."""
        if plan not in ("free", "paid"):
            raise KeyError(plan)
        return cls(**{limit.name: limit.free if plan == "free" else limit.paid for limit in LIMITS})


FREE, PAID = Limits.of("free"), Limits.of("paid")


def limit(name: str) -> Limit:
    """The row of that name, with its source and evidence.  Raises KeyError."""
    return _BY_NAME[name]


_BY_NAME = {row.name: row for row in LIMITS}
