"""PostgreSQL as a source: what it declares, a copy of its rows in SQLite, and its schema in D1's words.

Read, in this order: `connection` (read only, pinned settings), `relations` and `catalog` (what is declared, as values),
`reflect` with `reflect_types`, `reflect_relations`, `reflect_objects` (how it is read), `rules`, `declared`, `findings`
(what D1 cannot have or hold), `types` (the captured form of each type), `snapshot`, `reading`, `capture`, `metadata`
(every row of one moment in a SQLite file), `convert`, `convert_after`, `expressions`, `defaults`, `accounts`,
`generated`, `proving` (mode generate), `activity` (whether anybody writes).
"""
