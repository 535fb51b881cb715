"""What every test shares: where sockets are allowed, and the folder of recorded data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import CannotRunError, Server, emptied, running

__all__ = ["postgres", "postgres_url", "shared_data"]

# A build server repeats the same examples, so that a red build is the change's; at a desk new ones are drawn.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

TESTS = Path(__file__).resolve().parent
WITHOUT_SOCKETS = {"unit", "contract"}
LOOPBACK = ["127.0.0.1", "::1", "localhost"]


@pytest.hookimpl(tryfirst=True)  # before the plugin reads its options
def pytest_configure(config: pytest.Config) -> None:
    """Let event loops open their socket pair also where sockets are disabled."""
    config.option.allow_unix_socket = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Disable sockets in unit and contract tests; all others reach loopback only."""
    for item in items:
        if TESTS not in item.path.parents:
            continue
        isolated = item.path.relative_to(TESTS).parts[0] in WITHOUT_SOCKETS
        item.add_marker(pytest.mark.disable_socket if isolated else pytest.mark.allow_hosts(LOOPBACK))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded tracks, zones and vectors beside the project; the test is skipped where they are absent."""
    folder = TESTS.parents[1] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("recorded data absent: expected the folder ../shared/data beside the project")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server with PostGIS for as long as the tests run; the test is skipped where none can run."""
    try:
        with running() as server:
            yield server
    except CannotRunError as error:
        pytest.skip(str(error))


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """The address of an empty database on it."""
    return emptied(postgres)
