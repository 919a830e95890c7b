"""The rules of the surface `tables`: what can be wrong with a SQLite source on its way to D1, and what to do.

One row per code; the same row stands in docs/checks.md, and a fixture in the tests shows that exactly this code fires.
TB1xx declarations and limits, TB2xx values, TB3xx what the conversion changes, TB32x its proof.
"""

from __future__ import annotations

from towpath.checks import Rule, Severity

REFUSE, DECIDE, WARN, NOTE = Severity.REFUSE, Severity.DECIDE, Severity.WARN, Severity.NOTE


def _rule(
    code: str,
    severity: Severity,
    title: str,
    advice: str,
    choices: tuple[str, ...] = (),
    lossy: tuple[str, ...] = (),
    loses: str = "",
) -> Rule:
    return Rule(code, "tables", title, severity, advice, choices, lossy, loses)


DROP = ("drop",)

_LIMITS = (
    _rule(
        "TB101",
        REFUSE,
        "table has more columns than D1 takes",
        "split the table in the source into two that share a key",
    ),
    _rule("TB102", REFUSE, "row is larger than D1 takes", "move the long value to R2 and keep its key in the row"),
    _rule("TB103", REFUSE, "name begins with _cf_", "rename it in the source: Cloudflare keeps these names for itself"),
    _rule("TB104", DECIDE, "name is empty", "rename it in the source, or keep it: it moves, always quoted", ("keep",)),
    _rule(
        "TB105", WARN, "names differ only by case or Unicode form", "look whether the new application tells them apart"
    ),
    _rule("TB106", REFUSE, "database is larger than the plan allows", "take the paid plan, or split it by tenant"),
    _rule("TB107", REFUSE, "statement is longer than D1 takes", "shorten the CREATE statement in the source"),
    _rule(
        "TB108",
        DECIDE,
        "uses a function or a table that D1 has not",
        "rewrite it in the source without it",
        DROP,
        DROP,
        "the object that uses it, which the new application must do without",
    ),
    _rule(
        "TB109",
        DECIDE,
        "virtual table that D1 cannot have",
        "replace it by FTS5 in the new application",
        DROP,
        DROP,
        "the virtual table and what can be found through it",
    ),
    _rule(
        "TB110",
        DECIDE,
        "collation that only the old application has",
        "nocase folds A to Z only, binary compares bytes: look at UNIQUE and ORDER BY in the new application",
        ("binary", "nocase"),
    ),
    _rule(
        "TB111", REFUSE, "generated column calls a function that D1 has not", "make it an ordinary column in the source"
    ),
    _rule("TB112", NOTE, "source stores text as UTF-16", "nothing: D1 stores the same characters as UTF-8"),
    _rule(
        "TB113",
        DECIDE,
        "foreign key to columns that are not unique",
        "make the parent's columns UNIQUE",
        DROP,
        DROP,
        "the foreign key: nothing keeps new rows from naming no parent",
    ),
    _rule(
        "TB114",
        DECIDE,
        "foreign key to a table that is not there",
        "create the parent table",
        DROP,
        DROP,
        "the foreign key: nothing keeps new rows from naming no parent",
    ),
    _rule(
        "TB115",
        REFUSE,
        "table d1_migrations belongs to wrangler",
        "rename it in the source: the target keeps its applied migrations there",
    ),
    _rule(
        "TB116",
        DECIDE,
        "virtual table that owns its content",
        "fill moves its rows like those of any table; or drop it and fill it in the new application",
        ("fill", "drop"),
        DROP,
        "the rows of the virtual table, until the application fills it again",
    ),
    _rule(
        "TB117",
        DECIDE,
        "view or trigger that does not run",
        "correct or remove it in the source",
        DROP,
        DROP,
        "the view or trigger, which did not run in the source either",
    ),
    _rule(
        "TB118",
        NOTE,
        "table in which another tool keeps its migrations",
        "nothing: its rows move; the new application's own tool will not read them",
    ),
)

_VALUES = (
    _rule(
        "TB201",
        DECIDE,
        "integers beyond ±2^53",
        "they arrive exactly; the new application must read them as text (CAST(… AS TEXT)), JavaScript rounds them",
        ("keep",),
    ),
    _rule(
        "TB202", DECIDE, "text that is not UTF-8", "repair it in the source, or keep its bytes as they are", ("keep",)
    ),
    _rule(
        "TB203",
        DECIDE,
        "rows whose foreign key names no parent",
        "null empties the reference (where a column of it may be NULL), park keeps the row back in the record",
        ("null", "park"),
        ("null", "park"),
        "null: what the reference named; park: the rows themselves, which stay in the record",
    ),
    _rule("TB204", WARN, "text holding NUL", "length(), LIKE and quote() stop at the NUL: look how it is read"),
    _rule("TB205", WARN, "infinite numbers", "D1 answers null for them in JSON: read them by quote() or a CASE"),
    _rule("TB206", WARN, "timestamps without a zone, and no zone is stated", "state tables.time_zone in mapping.yaml"),
    _rule(
        "TB207",
        WARN,
        "dates in several forms in one column",
        "ORDER BY and = compare text: let the application write one",
    ),
    _rule("TB208", WARN, "decimals stored as binary fractions", "the loss predates the move: check sums of money"),
    _rule(
        "TB209",
        WARN,
        "numbers in a column meant for text",
        "leading zeros were lost when they were written: look at them",
    ),
    _rule(
        "TB210", WARN, "NULL in a primary key", "such rows cannot be named by their key: give them one in the source"
    ),
    _rule("TB211", NOTE, "value longer than one statement", "nothing: it travels as a bound parameter"),
    _rule(
        "TB212",
        WARN,
        "dates that no calendar has",
        "they move as they are; SQLite's date functions change or refuse them",
    ),
    _rule(
        "TB213", WARN, "booleans written as words", "SQLite takes a word for 0: let the new application compare text"
    ),
    _rule(
        "TB214",
        REFUSE,
        "rows that break their table's NOT NULL or CHECK",
        "correct them in the source: D1 refuses them",
    ),
    _rule("TB215", WARN, "text damaged before (holds U+FFFD)", "the loss predates the move: look for the original"),
    _rule(
        "TB216", NOTE, "text in a column of numbers", "nothing: it stays text; look whether the application expects it"
    ),
    _rule("TB217", NOTE, "timestamps without a zone", "nothing: mapping.yaml states their zone"),
    _rule(
        "TB218", WARN, "numbers in JSON that a double rounds", "JavaScript rounds them: let them be texts in the JSON"
    ),
    _rule(
        "TB219", WARN, "integers beyond 64 bits, stored as reals", "the loss predates the move: look for the originals"
    ),
    _rule(
        "TB220",
        WARN,
        "times that SQLite's date functions do not read",
        "they move as they are; write offsets as +02:00 where D1 is to compute with them",
    ),
    _rule(
        "TB221",
        WARN,
        "UUIDs in several forms in one column",
        "= compares text: let the application write one form, and correct references with it",
    ),
)

_CHANGES = (
    _rule("TB301", NOTE, "type written as its affinity", "nothing: SQLite never enforced more of the old name"),
    _rule("TB302", NOTE, "date or time gets the type of its values", "nothing: the old name made numbers of digits"),
    _rule(
        "TB303", NOTE, "text type that was numeric by name becomes TEXT", "nothing: the old name made numbers of digits"
    ),
    _rule("TB304", NOTE, "boolean becomes INTEGER", "nothing: 0 and 1 stay as they are"),
    _rule("TB305", NOTE, "decimal gets the type of its values", "nothing: no value changes"),
    _rule("TB306", WARN, "values of several kinds: affinity kept", "let the new application write one kind of value"),
    _rule("TB307", NOTE, "integer key becomes INTEGER PRIMARY KEY", "nothing: an insert without a key now gets one"),
    _rule("TB308", NOTE, "primary key gets NOT NULL", "nothing: no row has NULL there"),
    _rule("TB309", NOTE, "comments or CRLF in the declaration left out", "nothing: D1 splits CRLF in triggers wrongly"),
    _rule(
        "TB310",
        NOTE,
        "text in double quotes written with '",
        "nothing: the same text, and no longer a name by accident",
    ),
    _rule("TB311", NOTE, "object that SQLite or Cloudflare makes by itself", "nothing: the target has its own"),
    _rule("TB312", NOTE, "virtual table made again after the load", "nothing: its content is rebuilt from the rows"),
    _rule("TB313", NOTE, "table without a primary key", "nothing: its rows are proved by rowid; give it a key later"),
    _rule("TB314", NOTE, "function written under D1's name for it", "nothing: power is pow, ceiling is ceil there"),
)

_PROOF = (
    _rule("TB320", REFUSE, "converted table declares what the source declares", "open an issue with the declaration"),
    _rule("TB321", REFUSE, "converted statement runs under D1's rules", "rewrite the object in the source"),
    _rule(
        "TB322", REFUSE, "every object of the source is accounted for", "open an issue with the object's declaration"
    ),
    _rule("TB323", REFUSE, "converted statement is shorter than D1's limit", "shorten the declaration in the source"),
)

RULES: dict[str, Rule] = {rule.code: rule for rule in (*_LIMITS, *_VALUES, *_CHANGES, *_PROOF)}
