"""What an ordinary user of a machine may not do; root, who runs the tests of many CI images, may do everything.

open_folder     test  a folder that every user may enter, which pytest's own are not
ordinary_user   test  nobody's rights for the length of the test
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """It is removed with all that it holds."""
    folder = Path(tempfile.mkdtemp(prefix="towpath-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Root gives its rights up, and takes them again; who has none stays as they are."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
