"""What every test may rely on: no home but a temporary one, and a seed that a failure tells."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A loaded machine is no failure: how long something takes is measured in bench/.
settings.register_profile("halloo", deadline=None)
settings.load_profile("halloo")

# No test tells the network of this machine of anything; those with a network of their own switch it on.
os.environ["HALLOO_LAN"] = "off"

SEEDED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="the seed of seeded tests, to play a failure again")
    parser.addoption("--whole", action="store_true", help="of tests over many seeds all, as make soak does")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: its own, always the same, unless ``--seed`` gives another."""
    given = request.config.getoption("--seed")
    chosen = zlib.crc32(request.node.name.encode()) if given is None else given
    request.node.stash[SEEDED] = chosen
    return chosen


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether tests over many seeds take all of them, or so many that each combination comes up several times."""
    return bool(request.config.getoption("--whole"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Say how a seeded test that failed is played again."""
    report = yield
    if report.failed and SEEDED in item.stash:
        report.sections.append(("seed", f"python -m pytest '{item.nodeid}' --seed {item.stash[SEEDED]}"))
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_home_of_mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes what belongs to the person who runs it, and none is given that person's password."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HALLOO_")]:
            patch.delenv(name)
        for name in ("HALLOO_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(home / name.lower()))
        yield
