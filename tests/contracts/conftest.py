"""One tiny world for all the checks of a process: its suspect is trained once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.testing.contract import ContractBroken, NotTried
from engine.testing.subject import Subject
from engine.testing.world import World
from tests.contracts.table import Case


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """That world."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """The same, entered."""
    with shared_world.entered():
        yield shared_world


@pytest.fixture
def hold(world: World) -> Callable[[Case], None]:
    """Makes a check: it passes, unless it is known to be broken: then it has to be, unless that is a close thing."""

    def made(case: Case) -> None:
        subject = Subject(case.kind, case.name, world, case.given)
        try:
            case.check(subject)
        except NotTried as why:
            pytest.skip(str(why))
        except ContractBroken as broken:
            if not any(said and said in str(broken) for said in (case.known, case.close)):
                raise
        else:
            assert not case.known, f"it is known to be broken, and holds: {case.known}"

    return made
