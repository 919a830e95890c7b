"""Runs: the record of a move, and what keeps it true.

A notebook calls `towpath.runs.run.open_run`; it gives an attempt at a phase (attempt), after its gate (gates) and
under a lock (lock).  folder and results are the files of a run, journal its chain of executed cells, verification looks
whether they are whole.  engine, kernel, account, streams, redaction and saving are the papermill engine; runner,
execution and terminal are `towpath run`; overview and pages are what a reviewer opens.

Modules are imported by their names; this package exports nothing.
"""
