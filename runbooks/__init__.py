"""The systems that move: one folder each."""
