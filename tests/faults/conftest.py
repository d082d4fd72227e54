"""The services profile as docker/compose.yml starts it, on servers that may be crashed.

Started once for all tests of this folder: each of them leaves every role running, as it found it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import Installation, Servers, services


@pytest.fixture(scope="package")
def servers() -> Iterator[Servers]:
    # PostgreSQL runs under an account of its own, which must get through to its folder; pytest's are closed.
    folder = Path(tempfile.mkdtemp(prefix="eml-faults."))
    folder.chmod(0o755)
    started = Servers(folder / "servers")
    yield started
    started.down()
    shutil.rmtree(folder)


@pytest.fixture(scope="package")
def installation(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """All roles running."""
    made = services(tmp_path_factory.mktemp("installation"), servers)
    for process in made.processes:
        process.start()
    for name in ("web1", "web2"):
        made[name].wait_ready()
    yield made
    made.end()
