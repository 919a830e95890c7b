"""A source fitted to a target schema that somebody else wrote, by rules of mapping.yaml, and the proof of it."""
