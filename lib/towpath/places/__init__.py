"""Places: where records are kept besides the machine that makes them, a folder or a prefix of an R2 bucket.

address reads where a place is and opens it; store says what a place can do and keeps one in a folder, bucket keeps one
in R2.  record holds the states of one run there, sync brings it there and back, holding is the lock across machines,
and keeper is what `towpath run` calls between its phases.  retention decides what may be pruned, pruning removes it.

Modules are imported by their names; this package exports nothing.
"""
