"""What can be wrong with a PostgreSQL database on its way to D1: one code per rule, as data.

PG1xx: what it declares.  PG2xx: what its rows hold.  PG3xx: what the captured forms and the conversion change.
"""

from __future__ import annotations

from towpath.checks import Rule, Severity

REFUSE, DECIDE, WARN, NOTE = Severity.REFUSE, Severity.DECIDE, Severity.WARN, Severity.NOTE


def _rule(
    code: str, severity: Severity, title: str, advice: str, choices: str = "", lossy: str = "", loses: str = ""
) -> Rule:
    return Rule(code, "tables", title, severity, advice, tuple(choices.split()), tuple(lossy.split()), loses)


_RENAME = "rename one of them in the source"
_APPLICATION = "nothing runs it in D1: let the new application do what it did"

_DECLARED = (
    _rule("PG101", REFUSE, "database of the encoding SQL_ASCII", "restore its dump into a database of UTF8"),
    _rule("PG102", REFUSE, "two tables that get one name", _RENAME),
    _rule("PG103", REFUSE, "columns that differ only in capitals", _RENAME),
    _rule("PG104", REFUSE, "table name that belongs to SQLite, Cloudflare or Towpath", "rename it in the source"),
    _rule("PG105", WARN, "more columns than D1 takes", "split it by mapping.yaml: D1 takes 100 columns"),
    _rule("PG106", REFUSE, "table that this user may not read", "GRANT SELECT on it to the user of source_database"),
    _rule("PG107", WARN, "row security", "D1 has none: let the new application check who may see a row"),
    _rule("PG108", WARN, "trigger", _APPLICATION),
    _rule("PG109", WARN, "function, procedure or aggregate", _APPLICATION),
    _rule("PG110", WARN, "materialized view", "D1 has none: make it a view, or a table that the application fills"),
    _rule("PG111", WARN, "exclusion constraint", "D1 has none: let the new application look before it writes"),
    _rule("PG112", WARN, "constraint that waits for the end of the transaction", "SQLite checks UNIQUE at once"),
    _rule("PG113", WARN, "constraint that was never checked for all rows", "PG208 counts rows that break a reference"),
    _rule("PG114", NOTE, "unlogged table", "nothing: its rows move; a crash of the source would have emptied it"),
    _rule(
        "PG115", WARN, "inheritance", "each table moves with its own rows: the parent no longer shows its children's"
    ),
    _rule("PG116", WARN, "collation that D1 has not", "look at ORDER BY and UNIQUE: D1 compares bytes"),
    _rule("PG117", WARN, "text that ignores capitals (citext)", "D1 compares bytes, NOCASE folds A to Z only"),
    _rule("PG118", WARN, "extension", "nothing of it is in D1: look what the application uses"),
    _rule("PG119", NOTE, "source is a replica", "nothing: rows that it has not replayed yet come with the delta"),
    _rule(
        "PG120",
        DECIDE,
        "foreign table: its rows are elsewhere",
        "move them from where they are",
        "leave",
        "leave",
        "the rows of the foreign table, which stay where they are",
    ),
    _rule(
        "PG121",
        DECIDE,
        "large objects: they are outside of all tables",
        "move them to R2",
        "leave",
        "leave",
        "the large objects, which stay in PostgreSQL",
    ),
    _rule("PG122", NOTE, "partitioned table", "nothing: it moves as one table"),
    _rule("PG123", WARN, "rewrite rule", _APPLICATION),
    _rule("PG124", NOTE, "table without a primary key", "nothing: it is proved as a multiset; give it a key later"),
    _rule(
        "PG125", WARN, "index that is not valid", "REINDEX it in the source: a unique one does not hold what it says"
    ),
    _rule("PG126", NOTE, "schema that goes into the name", "nothing: D1 has no schemas"),
    _rule(
        "PG127", WARN, "UNIQUE that takes NULL for a value", "SQLite lets NULLs repeat: the conversion adds an index"
    ),
    _rule("PG128", NOTE, "object that D1 has not", "nothing: no row depends on it"),
    _rule(
        "PG129",
        NOTE,
        "table of another tool's migrations",
        "nothing: its rows move; the new application's own tool will not read them",
    ),
)

_VALUES = (
    _rule("PG201", WARN, "NaN", "it arrives as the text NaN: look how the application reads it"),
    _rule("PG202", WARN, "infinite numbers", "D1 answers null for them in JSON; of numeric they are texts"),
    _rule("PG203", WARN, "dates that are infinite, BC or beyond 9999", "SQLite's date functions do not read them"),
    _rule("PG204", WARN, "decimals with more digits than a double", "they arrive as text; never make numbers of them"),
    _rule(
        "PG205",
        DECIDE,
        "arrays whose index does not begin at 1",
        "JSON has no bounds",
        "forget",
        "forget",
        "the index at which each array begins",
    ),
    _rule("PG206", WARN, "numbers in JSON beyond a double", "JavaScript rounds them: read them as text"),
    _rule("PG207", WARN, "integers beyond ±2^53 in PostgreSQL", "JavaScript rounds them: read them as text"),
    _rule("PG208", WARN, "rows whose reference leads nowhere", "correct them: D1 enforces every reference"),
    _rule("PG209", WARN, "rows longer than D1 takes", "move the long value to R2: D1 takes 2,000,000 bytes a row"),
    _rule("PG210", WARN, "sequence behind its table", "setval it: its next number is taken already"),
    _rule("PG211", NOTE, "sequence ahead of its table", "nothing: the next number moves too"),
    _rule("PG212", NOTE, "negative zeros", "nothing: they arrive as zero, which compares equal"),
    _rule(
        "PG213",
        DECIDE,
        "arrays that their JSON cannot give back",
        "store the elements in rows of their own before the move",
        "forget",
        "forget",
        "what of an element was NULL or null, a list or a dimension, or a first index of its own",
    ),
)

_CHANGES = (
    _rule("PG301", NOTE, "boolean becomes 0 or 1", "nothing: D1 has no boolean"),
    _rule(
        "PG302", NOTE, "decimal becomes text with all digits", "SUM and ORDER BY compare text: CAST where it matters"
    ),
    _rule("PG303", NOTE, "char(n) loses its padding", "nothing: PostgreSQL ignores it in comparisons too"),
    _rule("PG304", NOTE, "date or time becomes text", "nothing: it sorts as before where it has one form"),
    _rule("PG305", NOTE, "uuid becomes text", "nothing: small letters, with dashes"),
    _rule("PG306", NOTE, "JSON becomes text", "nothing: its bytes are PostgreSQL's own"),
    _rule("PG307", NOTE, "array becomes a JSON array", "read it by json_each; no operator of arrays is in D1"),
    _rule("PG308", NOTE, "type that D1 has not becomes text", "no operator or function of the type is in D1"),
    _rule("PG309", NOTE, "enum becomes a CHECK of its labels", "ORDER BY compares text, not the order of labels"),
    _rule("PG310", NOTE, "length or domain becomes a CHECK", "nothing: D1 refuses what PostgreSQL refused"),
    _rule("PG311", NOTE, "serial or identity becomes AUTOINCREMENT", "nothing: the next number moves too"),
    _rule("PG312", WARN, "number of a sequence that AUTOINCREMENT cannot give", "let the new application give it"),
    _rule("PG313", NOTE, "default written in SQLite's words", "nothing: it gives the same form of value"),
    _rule("PG314", WARN, "default that D1 cannot compute", "let the new application give the value"),
    _rule("PG315", NOTE, "expression written in SQLite's words", "nothing: it was compiled under D1's rules"),
    _rule("PG316", WARN, "CHECK that D1 cannot compute", "let the new application check it"),
    _rule("PG317", WARN, "generated column that becomes an ordinary one", "let the new application compute it"),
    _rule("PG318", WARN, "index that D1 cannot have", "look which queries used it"),
    _rule(
        "PG319", NOTE, "index without what SQLite has not", "nothing: INCLUDE, operator classes, method are left out"
    ),
    _rule("PG320", WARN, "view that D1 cannot have", "write its query in the new application"),
    _rule("PG321", WARN, "reference that D1 cannot have", "let the new application check it"),
    _rule("PG322", WARN, "UNIQUE that D1 cannot have", "let the new application check it"),
    _rule("PG323", NOTE, "comments and grants are left out", "nothing: D1 has neither"),
    _rule("PG324", REFUSE, "statement of the conversion runs under D1's rules", "open an issue with the declaration"),
    _rule(
        "PG327",
        DECIDE,
        "objects that D1 cannot have, kind by kind",
        "let the new application do what they did, and have their owner accept their number",
        "leave",
        "leave",
        "what the objects of this kind did: nothing on the target does it",
    ),
    _rule("PG326", WARN, "view written in SQLite's words", "compare its results: only that it compiles is proved"),
    _rule("PG325", REFUSE, "every object of the database is accounted for", "open an issue with the object's name"),
)

RULES: dict[str, Rule] = {rule.code: rule for rule in (*_DECLARED, *_VALUES, *_CHANGES)}
