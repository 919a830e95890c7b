"""Errors that a person can act on.

TowpathError
 ├─ WrongUse      the call, the parameters or the order is wrong; nothing was started      (exit code 3)
 ├─ BadInput      the source cannot be read as it must be; nothing was written             (exit code 2)
 └─ CannotFinish  something outside stopped the work; what was written is named by receipts (exit code 2)

A comparison that finds differences is not an error: it returns a result.
"""

from __future__ import annotations

PASS, CHECKS_FAILED, COULD_NOT_FINISH, WRONG_USE = 0, 1, 2, 3


class TowpathError(Exception):
    """What happened, to which object, and what to do next, in one line."""

    exit_code = COULD_NOT_FINISH

    def __init__(self, what: str, *, next: str, object: str = "", code: str = "") -> None:
        self.what, self.object, self.next, self.code = what, object, next, code
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """The whole error in one line, as people see it."""
        where = f"{self.object}: " if self.object else ""
        code = f"{self.code} " if self.code else ""
        return f"{code}{where}{self.what}. Next: {self.next}".replace("\n", " ")

    def _render_traceback_(self) -> list[str]:
        # IPython calls this instead of printing the stack; the stack goes to the phase's log file.
        return [f"STOP: {self.line}"]


class WrongUse(TowpathError):
    """The call, the parameters or the order of phases is wrong; nothing was started."""

    exit_code = WRONG_USE


class BadInput(TowpathError):
    """The source cannot be read as a migration needs it; nothing was written to the target."""


class CannotFinish(TowpathError):
    """Something outside stopped the work; receipts in the target say how far it got."""
