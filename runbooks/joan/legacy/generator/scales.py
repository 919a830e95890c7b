"""How much is generated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """One size of Joan.  Everything a user has follows from `tasks_per_user`; a user has about five rows per task."""

    name: str
    users: int
    tasks_per_user: int
    files: int
    mean_file: int  # bytes
    largest_file: int  # bytes

    def share(self, of_tasks: float) -> int:
        """How many rows of a table a user has, at least one."""
        return max(1, round(self.tasks_per_user * of_tasks))


SCALES = {
    scale.name: scale
    for scale in (
        Scale("small", users=18, tasks_per_user=20, files=40, mean_file=18_000, largest_file=300_000),
        Scale("demo", users=950, tasks_per_user=40, files=2_000, mean_file=100_000, largest_file=12_000_000),
        Scale("large", users=24_000, tasks_per_user=40, files=2_000, mean_file=100_000, largest_file=12_000_000),
    )
}
