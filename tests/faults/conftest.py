"""What the fault tests share.

toy                           helpers.toy.Toy: a tiny project of its own for each test
passage                       helpers.passage.Passage: where a module's projects meet their runtime
open_folder, ordinary_user    helpers.ordinary
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.ordinary import open_folder, ordinary_user
from helpers.passage import Passage
from helpers.toy import toy

__all__ = ["open_folder", "ordinary_user", "passage", "toy"]


@pytest.fixture(scope="module")
def passage() -> Iterator[Passage]:
    """Open for the length of the module."""
    with Passage().open() as made:
        yield made
