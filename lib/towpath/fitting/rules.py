"""What can be wrong between a source and a target schema that somebody else wrote: one code per rule, as data.

FT1xx: the fit, from declarations alone.  FT2xx: values that a rule would lose, counted on the capture.  FT3xx: rows
that the target would refuse.  FT4xx: what was shaped, and the proof through the mapping.
"""

from __future__ import annotations

from functools import partial

from towpath.checks import Rule, Severity

SAMPLES = 5  # keys named in one finding

_REFUSE, _DECIDE, _WARN, _NOTE = Severity.REFUSE, Severity.DECIDE, Severity.WARN, Severity.NOTE
_rule = partial(Rule.of, "tables")

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        # the fit
        _rule(
            "FT101",
            "source column that no rule speaks of",
            _REFUSE,
            "map it to a target column, or name it under drop with the reason",
        ),
        _rule(
            "FT102",
            "source table that no rule speaks of",
            _REFUSE,
            "write a rule for it under fit, or name it under left with the reason",
        ),
        _rule(
            "FT103",
            "target column that must have a value and gets none",
            _REFUSE,
            "give it a source column, an expression or a constant",
        ),
        _rule(
            "FT104",
            "target column that nothing fills: NULL in every row",
            _WARN,
            "say so with {constant: null}, or give it a source column",
        ),
        _rule(
            "FT105",
            "target table that no rule fills",
            _REFUSE,
            "write a rule that goes to it, or name it under empty",
        ),
        _rule("FT106", "name that does not exist", _REFUSE, "correct the name in mapping.yaml"),
        _rule("FT107", "conversion that does not take this type", _REFUSE, "use one of those that the message names"),
        _rule(
            "FT108",
            "value that the target column would store as another type",
            _REFUSE,
            "convert it with as, or change the column in the migrations",
        ),
        _rule(
            "FT109", "expression that is not in the language", _REFUSE, "write it in the language of docs/fitting.md"
        ),
        _rule(
            "FT110",
            "default of the target that is no constant",
            _REFUSE,
            "give the column a rule: the moment or chance of the load is no value of the source",
        ),
        _rule("FT111", "rule that contradicts itself or another", _REFUSE, "correct the rule in mapping.yaml"),
        _rule("FT112", "migration that D1 refuses", _REFUSE, "correct the migration: D1 would refuse it too"),
        _rule(
            "FT113",
            "rows that the migrations insert",
            _DECIDE,
            "leave: the application inserts them itself, after the move",
            "leave",
            "leave",
            "the certainty that these rows are in the target: the application must insert them",
        ),
        _rule(
            "FT114",
            "sequence ahead of its rows, and a target key that gives such numbers out again",
            _WARN,
            "write AUTOINCREMENT in the migration if numbers of deleted rows must not come back",
        ),
        # values
        _rule(
            "FT201",
            "values that lose something by their conversion",
            _DECIDE,
            "use a conversion that keeps them, or accept the loss",
            "accept",
            "accept",
            "the digits, the fraction or the zone that the conversion has no room for",
        ),
        _rule("FT202", "values that the conversion has no form for", _REFUSE, "correct them, or convert otherwise"),
        _rule(
            "FT203",
            "several rows where a join or a lookup takes one",
            _REFUSE,
            "join by a column that is unique, or correct the rows",
        ),
        _rule(
            "FT204",
            "values that a lookup does not find",
            _DECIDE,
            "accept: the target gets NULL, or the rule's default",
            "accept",
            "accept",
            "the value that was looked up: NULL or the default stands for it",
        ),
        _rule(
            "FT205",
            "values of a dropped column",
            _DECIDE,
            "drop says it in mapping.yaml",
            "drop",
            "drop",
            "the values of the column",
        ),
        _rule(
            "FT206",
            "rows that no rule takes",
            _DECIDE,
            "rows says it in mapping.yaml",
            "park",
            "park",
            "the rows, which stay in the record as parked",
        ),
        _rule(
            "FT207",
            "rows of a table that stays behind",
            _DECIDE,
            "left says it in mapping.yaml",
            "leave",
            "leave",
            "the rows of the table, which stay in the source",
        ),
        _rule(
            "FT208",
            "rows of a joined table that no row takes",
            _DECIDE,
            "leave: they belong to no row that moves",
            "leave",
            "leave",
            "the rows of the joined table, which stay in the source",
        ),
        _rule("FT209", "NULLs that the rule's default replaces", _NOTE, "nothing: mapping.yaml gives the value"),
        _rule(
            "FT210",
            "text to be rewritten that stands escaped in JSON",
            _DECIDE,
            r"keep leaves it as it is: only text that is written without \/ is rewritten",
            "keep",
        ),
        # constraints of the target
        _rule("FT301", "NULL in a column that must have a value", _REFUSE, "give the rule a default, or park the rows"),
        _rule(
            "FT302",
            "rows that are equal where the target wants them unique",
            _REFUSE,
            "tell them apart with occurrence(), or park all but one",
        ),
        _rule("FT303", "rows that a CHECK of the target refuses", _REFUSE, "convert the values, or park the rows"),
        _rule("FT304", "rows that name a row that will not be there", _REFUSE, "map the parent rows, or park these"),
        _rule("FT305", "values of a type that a STRICT table refuses", _REFUSE, "convert them with as"),
        _rule(
            "FT306",
            "values that the column's declared type would change",
            _REFUSE,
            "convert them with as, or declare the column TEXT in the migrations",
        ),
        # shape and proof
        _rule(
            "FT401", "rows read are rows shaped and rows parked", _REFUSE, "open an issue with the rule of this table"
        ),
        _rule(
            "FT402",
            "PostgreSQL's own values, through the mapping, against the snapshot's pages",
            _REFUSE,
            "look at the cells below: the capture, the mapping or the snapshot is not what the source holds",
        ),
        _rule(
            "FT403",
            "sequences against PostgreSQL's own",
            _REFUSE,
            "shape again: numbers would be given out twice",
        ),
        _rule(
            "FT404",
            "generated columns against the values that PostgreSQL computed",
            _REFUSE,
            "bring a schema of your own in which it is an ordinary column (mode adopt), and open an issue",
        ),
    )
}
