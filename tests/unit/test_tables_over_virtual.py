"""What stands over a virtual table that D1 cannot have did run in the source, and is said to."""

from __future__ import annotations

from helpers.census import look

SOURCE = """
CREATE TABLE message (id INTEGER PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE message_fts USING fts4(content);
CREATE TRIGGER gone BEFORE DELETE ON message BEGIN DELETE FROM message_fts WHERE docid = old.id; END;
CREATE VIEW found AS SELECT docid FROM "message_fts";
CREATE TRIGGER broken AFTER INSERT ON message BEGIN DELETE FROM nowhere; END;
"""


def test_what_uses_a_virtual_table_that_d1_cannot_have_is_no_fault_of_the_source() -> None:
    looked = look(SOURCE)
    found = {(f.code, f.object): f.message for f in looked.findings() if f.code != "TB206"}
    assert found == {
        ("TB109", "message_fts"): "virtual table: D1 has no module fts4",
        ("TB108", "gone"): "trigger uses message_fts, which D1 cannot have",
        ("TB108", "found"): "view uses message_fts, which D1 cannot have",
        ("TB117", "broken"): "trigger does not run: no such table: main.nowhere",
    }
    made = looked.convert(looked.decided())
    assert (made.triggers, made.views, made.virtual) == ((), (), ())
