"""Towpath."""
