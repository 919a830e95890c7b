"""Long sequences, as every surface needs them; this room knows no surface.

`pool`: several items at a time.  `ordered`: two ordered lists side by side.  `whole`: lists on disk that prove that
they are whole.
"""
