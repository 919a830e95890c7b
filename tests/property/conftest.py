"""What the property tests of the PostgreSQL source share.

database    module  the URL (without password) of a database for all examples of a module
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.postgresql import new_database

from towpath.local.postgresql import Postgresql


@pytest.fixture(scope="module")
def database(postgresql_server: Postgresql) -> Iterator[str]:
    """A database that nobody has used before."""
    with new_database(postgresql_server) as url:
        yield url
