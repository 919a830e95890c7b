"""One state of the world is one integer of at most 63 bits; a field is a few of them.  Arrays hold many states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

States = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Field:
    """Some bits of a state."""

    name: str
    shift: int
    width: int

    @property
    def ones(self) -> int:
        """The largest value."""
        return (1 << self.width) - 1

    def get(self, states: States) -> States:
        """The field's value in each state."""
        return (states >> self.shift) & self.ones

    def put(self, states: States, value: Any) -> States:
        """The states with another value: one for all, or one for each."""
        return (states & ~(self.ones << self.shift)) | (value << self.shift)

    def one(self, state: int) -> int:
        """The value in one state."""
        return (state >> self.shift) & self.ones


class Layout:
    """Fields beside each other, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self._used = 0

    def field(self, name: str, values: int) -> Field:
        """Room for the values 0 … values - 1."""
        made = Field(name, self._used, max(1, (values - 1).bit_length()))
        self._used += made.width
        assert self._used <= 63, "a state is one 64-bit integer"
        self.fields.append(made)
        return made
