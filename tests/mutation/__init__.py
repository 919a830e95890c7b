"""The validator's own score: single faults seeded into a real target that is equal to its source, and what is named.

`make mutation` runs it (see __main__).  Classes of faults are data: `cells`, `rows`, `around`, `files`, `cache` and
`queue` list them; `harness` seeds one fault after another, asks the product's own comparison, and undoes it; `clean`
looks for alarms where nothing is wrong.
"""
