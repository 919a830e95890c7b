"""What `towpath run` does with a place: hold it, bring the newest run here, keep the run after each phase."""

from __future__ import annotations

import contextlib
from pathlib import Path

from towpath.errors import BadInput, CannotFinish, WrongUse
from towpath.places.holding import Holding
from towpath.places.record import Home, homes, newest_number
from towpath.places.store import Store
from towpath.places.sync import bring, keep, point_to
from towpath.runs.folder import RunFolder


class PlaceKeeper:
    """A place, for one run of the command."""

    def __init__(self, store: Store, root: Path) -> None:
        self._store, self._root = store, root
        self._holding: Holding | None = None

    def begin(self, system: str, environment: str, run_id: str, is_new: bool) -> list[str]:
        """Hold the place, and bring the run that will go on: `run_id`, else the newest one; what to tell the reader.

        `is_new`: a new run is opened anyway, so nothing is brought.  Raises WrongUse when another machine holds the
        place, or it and this folder hold different records of one run.
        """
        lines = [f"kept at  {self._store.address}"]
        self._holding = Holding(self._store, system, environment).take(f"towpath run {system} --env {environment}")
        home = Home(system, environment, run_id) if run_id else self._newest(system, environment)
        if is_new or home is None or not newest_number(self._store, home):
            return lines
        done = bring(self._store, self._root, home)
        if not run_id:
            point_to(self._root, home)
        return [*lines, f"fetched  {home.run}: {done.sentence}"]

    def keep(self, folder: RunFolder) -> str:
        """Keep the run as it stands; what to tell the reader.

        Raises CannotFinish, which says how to repeat it: the record lies whole on this machine.
        """
        try:
            return f"kept     {keep(self._store, folder).sentence}"
        except (BadInput, CannotFinish) as error:
            step = f"repeat it: towpath place keep {folder.run_id} --records {self._store.address}"
            raise CannotFinish(f"the record was not kept: {error.what}", object=error.object, next=step) from error

    def end(self) -> None:
        """Let another machine go on.  A place that does not answer keeps its lock; the reader is told by the next."""
        if self._holding is not None:
            with contextlib.suppress(CannotFinish):
                self._holding.release()
            self._holding = None

    def _newest(self, system: str, environment: str) -> Home | None:
        """The newest run at the place, unless this folder has a newer one."""
        found = list(homes(self._store, system, environment))
        try:
            current = RunFolder.current(self._root, system, environment)
        except WrongUse:
            current = None
        if not found or (current is not None and current.run_id > found[-1].run):
            return None
        return found[-1]
