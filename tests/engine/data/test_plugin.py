"""A source of images that an installed package brings stands beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from engine import data
from engine.errors import RequestError
from tests.plugins import installed

SOURCE = """
import torch

from engine.data.base import assemble


def load(settings, progress):
    progress("drawing", 1, 1)
    images = torch.arange(2, dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 8, 8).contiguous()
    labels = torch.tensor([0, 1])
    return assemble(settings.name, (images, labels), (images, labels), ["dark", "light"], "nt-noise")
"""
ENTRIES = {
    "noise": "nt_noise",
    "elsewhere": "nt_elsewhere:Elsewhere",
    "unsure": "nt_elsewhere:Unsure",
    "nothing": "nt_elsewhere:nothing",
    "signs": "nt_noise",
}
OBJECTS = """
class Elsewhere:
    def load(settings, progress): ...

    def present():
        return False


class Unsure(Elsewhere):
    def present():
        raise OSError("the server is down")


nothing = None
"""


@dataclass(frozen=True)
class Settings:
    name: str
    size: int = 32
    train_images: int | None = None
    test_images: int | None = None


@pytest.fixture(scope="module", autouse=True)
def _noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    modules = {"nt_noise": SOURCE, "nt_elsewhere": OBJECTS}
    with installed(tmp_path_factory.mktemp("site"), "nt-noise", "nadtui.data", ENTRIES, modules):
        yield


def test_it_is_listed_and_loaded_like_ours():
    data.check_name("noise")
    assert list(data.SOURCES) == ["signs", "cifar10", "gtsrb", "elsewhere", "noise", "nothing", "unsure"]
    assert data.SOURCES.origin("noise") == "nt-noise 1.0"
    assert data.SOURCES.origin("signs") == "built in"
    told = []
    found = data.load(Settings("noise"), lambda *report: told.append(report))
    assert (found.name, found.class_names, len(found.x_train)) == ("noise", ("dark", "light"), 2)
    assert told == [("drawing", 1, 1)]


def test_whether_its_images_are_there_is_its_own_to_say(caplog):
    assert data.present("noise")
    assert not data.present("elsewhere")
    assert not data.present("unsure")
    assert "data set 'unsure' of nt-noise 1.0: the server is down" in caplog.text
    assert not data.present("nothing")


def test_what_loads_nothing_is_refused_in_a_line():
    with pytest.raises(RequestError, match=r"data set 'nothing' of nt-noise 1\.0: TypeError: load\(") as caught:
        data.load(Settings("nothing"))
    assert "\n" not in str(caught.value)
