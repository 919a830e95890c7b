"""A display that is rewritten while a phase goes on; the saved notebook holds its last state."""

from __future__ import annotations

import itertools
from typing import Any

from towpath.show.markup import Shown, displayed, shell

_numbers = itertools.count(1)


class Live:
    """Shows nothing before its first `put`, and nothing at all outside a notebook."""

    def __init__(self) -> None:
        self._handle: Any = None

    def put(self, shown: Shown) -> None:
        """Show this, in the place of what was shown."""
        if self._handle is not None:
            self._handle.update(shown.bundle, raw=True)
        elif shell() is not None:
            self._handle = displayed(shown, f"towpath-live-{next(_numbers)}")
