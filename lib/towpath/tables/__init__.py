"""Tables: a SQLite database becomes a D1 database, and the record proves it.

In the order of the phases:

inventory   source opens, schema reflects, profile counts (census, forms, exact, samples), orphans looks for parents,
            declared and findings judge it against D1 (dialect, rules)
schema      convert makes D1's DDL token by token (ddl, clauses, types, rewrite, virtual), conversion is the result,
            proof shows it in a sandbox, typescript writes the row types
export      snapshot takes the backup (transcode makes it UTF-8), relation says which rows move, with the decisions of
            overlay, order in which order; encode (literals, keys) writes them as SQL, statements packs them, canonical
            digests each page, manifest keeps it all
import      target claims the database and keeps receipts, load sends the chunks and makes the rest of the schema
validate    compare holds page digests against the target, opened opens the pages that differ, acceptance asks what must
            hold around the rows, reproved asks every row for what the schema promises of it (constraints)
cutover     changes finds what changed between two snapshots, delta writes it in an order that breaks no constraint;
            differing says which rows of a page did;
            vacate sets aside a unique value that moves to another row; fence keeps every other writer out of the target
roll-back   written finds what the target holds otherwise than the last snapshot, back carries it into the source

Modules are imported by their names; this package exports nothing.
"""
