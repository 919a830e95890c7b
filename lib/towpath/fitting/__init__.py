"""A source fitted to a target schema that somebody else wrote, by rules of mapping.yaml, and the proof of it.

spec        what mapping.yaml says, as plain values; rules holds the codes FT…
source      the source as the fit sees it: kinds of values; language and expressions read the small language over them
sqlite      expressions for the loader, over captured forms; postgres for the proof, over the source's own types
conversions named ones, as data, each for both engines; values makes one target column's value of one rule
adopt       the migrations run as D1 would run them, and the schema adopted as it is
account     the fit: part holds one rule against its two tables, ledger notes what is found, fitted is the result
losses      what the rules would lose, counted on the capture; violations which rows the target would refuse
shape       the file that holds exactly the rows that must arrive; computed what its generated columns came to
proof       PostgreSQL's own pages against the manifest's: pages row by row, whole page by page

Modules are imported by their names; this package exports nothing.
"""
