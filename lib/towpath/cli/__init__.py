"""The `towpath` command."""

from towpath.cli.command import main

__all__ = ["main"]
