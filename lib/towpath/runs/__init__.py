"""Runs: the record of a move, and what keeps it true.

A notebook calls `towpath.runs.run.open_run`; it gives an attempt at a phase (attempt), after its gate (gates) and
under a lock (lock).  folder and results are the files of a run, journal its chain of executed cells.  seal writes
what statement says about an attempt; verification, with chain, looks whether all of that is whole.  approving writes
a person's signature, approvals reads and counts them, rehearsed looks for a rehearsal of the way back.  engine,
kernel, account, streams, redaction and saving are the papermill engine, guard what it masks, outputs and lengths what
of a cell's output is noted and kept; runner, starting, execution, finishing, memory and terminal are `towpath run`;
stepping and prepared open a phase for stepping by hand, stepped and sealing look at it and seal it.  overview,
standing, review and pages are what a reviewer opens, rendering is what all pages share; shelf reads all runs, site is
their index; comparison and code_changes hold two runs against each other, comparing shows it.  notebooks asks for a
notebook's parameters, cells watches its errors, files writes whole or not at all, keeping is what a place for records
must do, rules are the codes of this room.  wallets knows where tools keep secrets, raw cleans what a kernel's process
writes past its kernel.

Modules are imported by their names; this package exports nothing.
"""
