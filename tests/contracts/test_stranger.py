"""A stranger's package, from its pyproject.toml to a run: built, installed, listed, checked and used.

Its defense is the README's, word for word.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config.layers import merge
from engine.testing.checks import checks_for, judged
from engine.testing.subject import Subject, find
from tests.headless import FEW, nadtui, run

ROOT = Path(__file__).parents[2]

ATTACK = """
from typing import ClassVar, Literal

from pydantic import Field

from engine.attacks.base import Attack


class Stripes(Attack):
    summary: ClassVar[str] = "white rows at the top"
    name: Literal["stripes"] = "stripes"
    rows: int = Field(2, ge=1, le=8)

    def build(self, context):
        yield from ()
        return White(self.rows)


class White:
    def __init__(self, rows):
        self.rows = rows

    def __call__(self, images):
        images = images.clone()
        images[..., : self.rows, :] = 255
        return images

    def tensors(self):
        return {}
"""
NETWORK = """
from engine.models.families import Family
from engine.models.taps import Tap


def build(width, classes):
    from torch import nn

    class Plain(nn.Module):
        tap_names = ("early", "late")

        def __init__(self):
            super().__init__()
            self.name = f"plain-{width}"
            self.early = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
            self.late = nn.Sequential(
                nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU()
            )
            self.head = nn.Linear(2 * width, classes)

        def forward_with_taps(self, images):
            early = self.early(images)
            late = self.late(early)
            return self.head(late.mean(dim=(2, 3))), (early, late)

        def forward(self, images):
            return self.forward_with_taps(images)[0]

    return Plain()


FAMILY = Family(
    form="plain-WIDTH",
    pattern="plain-([1-9][0-9]?)",
    fits=lambda width: width % 2 == 0,
    build=build,
    taps=lambda width: (Tap("early", width, 1, "early"), Tap("late", 2 * width, 2, "late")),
    smallest="plain-8",
)
"""
SOURCE = """
from engine.data import embedded
from engine.data.base import assemble


def load(settings, progress):
    drawn = embedded.load(settings, progress)
    train, test = (255 - drawn.x_train, drawn.y_train), (255 - drawn.x_test, drawn.y_test)
    return assemble(settings.name, train, test, drawn.class_names, "dark signs")
"""
MORE = """
[project.entry-points."nadtui.attacks"]
stripes = "stripes:Stripes"

[project.entry-points."nadtui.models"]
plain = "plain:FAMILY"

[project.entry-points."nadtui.data"]
dark-signs = "dark_signs"

[tool.setuptools]
py-modules = ["shake", "stripes", "plain", "dark_signs"]
"""


def told(language: str) -> str:
    """The one block of that language in the README's section on a defense of one's own."""
    (section,) = re.findall(r"^## A defense of your own\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)
    return block


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the package was installed."""
    project, target = tmp_path_factory.mktemp("nadtui-shake"), tmp_path_factory.mktemp("site")
    (project / "pyproject.toml").write_text(told("toml") + MORE)
    for name, text in {"shake": told("python"), "stripes": ATTACK, "plain": NETWORK, "dark_signs": SOURCE}.items():
        (project / f"{name}.py").write_text(text)
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", str(target), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_the_defense_of_the_readme_takes_about_thirty_lines():
    code = [line for line in told("python").splitlines() if line.strip()]
    assert len(code) <= 30


@pytest.mark.parametrize(("command", "name"), [("defenses", "shake"), ("models", "plain")])
def test_what_it_brings_is_listed(site, tmp_path, command, name):
    done = nadtui(command, "--json", path=[site, ROOT], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {each["name"]: each["origin"] for each in json.loads(done.stdout)}[name] == "nadtui-shake 0.1"


def test_all_that_it_brings_works_together(site, tmp_path):
    config = merge(FEW, {"attack": {"name": "stripes"}})
    named = ("--dataset", "dark-signs", "--model", "plain-4", "--defense", "nad,shake", "--epochs", "shake=1")
    summary = run(config, *named, "--epochs", "nad=1", "--epochs", "teacher=1", path=[site, ROOT], folder=tmp_path)
    stages = [(each["stage"], each["role"], each["defense"]) for each in summary["stages"]]
    assert stages[-1] == ("shake", "purified", "shake") and len(stages) == 4
    assert all(each["state"] == "finished" for each in summary["stages"])


@pytest.mark.parametrize("name", ["shake", "stripes", "plain", "dark-signs"])
def test_all_that_it_brings_keeps_the_contract(site, shared_world, monkeypatch, name):
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    kind, found = find(name)
    subject = Subject(kind, found, shared_world)
    verdicts = [judged(check, subject) for check in checks_for(kind, found)]
    left = {verdict.check for verdict in verdicts if verdict.state == "not tried"}
    assert left <= {"recalled"}  # an attack need not be able to
    assert [verdict for verdict in verdicts if verdict.state == "broken"] == []
