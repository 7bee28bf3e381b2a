"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.config.layers import parse_override
from engine.config.presets import resolve
from engine.errors import RequestError
from engine.places import expanded, in_full, sought
from engine.storage.paths import cache_dir, data_dir, presets_dir, runs_dir
from tests.tiny import tiny_config


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, and a working directory in which no folder `~` may appear."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def test_a_tilde_is_a_home_folder(home):
    assert expanded("~/x y") == home / "x y"
    assert in_full("~") == str(home)
    assert expanded("a~/~b") == Path("a~/~b")
    assert in_full("here/x") == str(home.parent / "here" / "here" / "x")


def test_a_home_that_nobody_knows_is_told():
    with pytest.raises(RequestError, match=r"there is no home folder ~nobody-of-that-name; \./~nobody"):
        expanded("~nobody-of-that-name/x")


def test_a_relative_path_says_what_it_is_relative_to(home):
    assert sought(Path("x")) == f" (looked for in {home.parent / 'here'})"
    assert sought(home) == ""


def test_a_working_directory_that_is_gone_is_told(home):
    (home.parent / "here").rmdir()
    with pytest.raises(RequestError, match="the working directory was deleted"):
        in_full("x")
    assert in_full("/x") == "/x"


@pytest.mark.parametrize(
    ("variable", "folder"), [("CACHE", cache_dir), ("DATA", data_dir), ("RUNS", runs_dir), ("PRESETS", presets_dir)]
)
def test_the_environment_may_use_it(variable, folder, home, monkeypatch):
    monkeypatch.setenv(f"NADTUI_{variable}", "~/there")
    assert folder() == home / "there"


def touched(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


FIELDS = {
    "data.name=~/own.npz": ("badnets", lambda config: config.data.name),
    "data.clean_from=~/own.npz": ("badnets", lambda config: config.data.clean_from),
    "suspect=~/own.pth": ("badnets", lambda config: config.suspect),
    "model.name=~/net.py:Net": ("badnets", lambda config: config.model.name.removesuffix(":Net")),
    "defenses.nad.teacher.file=~/own.pth": ("badnets", lambda config: config.defenses["nad"].teacher.file),
    "defenses.nad.teacher=~/own.pth": ("badnets", lambda config: config.defenses["nad"].teacher.file),
    "attack.image=~/own.png": ("blend", lambda config: config.attack.image),
    "attack.reflection_folder=~/mirror": ("refool", lambda config: config.attack.reflection_folder),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("where", ["--set", "configuration", "preset", "recipe"])
def test_every_field_that_is_a_path_takes_it_wherever_it_is_set(field, where, home, monkeypatch, tmp_path):
    if where == "recipe" and field.startswith("data.name"):
        pytest.skip("a recipe says how the defender works, not on what")
    preset, read = FIELDS[field]
    written = field.partition("=")[2]
    wanted = touched(home / written.removeprefix("~/").removesuffix(":Net"))
    assert read(configured(preset, field, where, tmp_path, monkeypatch)) == str(wanted)
    assert list(Path.cwd().iterdir()) == []


def configured(preset: str, field: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The configuration with that field set there."""
    import yaml

    table = parse_override(field)
    if where == "--set":
        return resolve(preset, overrides=[table])
    file = tmp_path / "given.yaml"
    if where == "preset":
        (tmp_path / "presets").mkdir()
        monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path / "presets"))
        attack = {**resolve(preset).to_dict()["attack"], **table.pop("attack", {})}
        (tmp_path / "presets" / "mine.yaml").write_text(yaml.safe_dump({"attack": attack, **table}))
        return resolve("mine")
    file.write_text(yaml.safe_dump(table))
    if where == "recipe":
        (tmp_path / "home" / "r.yaml").write_text(file.read_text())
        return resolve(preset, recipe="~/r.yaml")
    return resolve(preset, config_file=file)


def test_a_relative_path_is_kept_in_full(home, monkeypatch):
    touched(Path("own.pth"))
    config = tiny_config("badnets", "suspect=own.pth")
    assert config.suspect == str(home.parent / "here" / "own.pth")
    monkeypatch.chdir(home)
    (home / "c.yaml").write_text(config.to_yaml())
    assert resolve(None, config_file=home / "c.yaml").suspect == config.suspect


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
@pytest.mark.parametrize("field", FIELDS)
def test_names_that_are_no_letters_go_through_a_configuration_and_back(field, home):
    preset, read = FIELDS[field]
    name, _, written = field.partition("=")
    written = written.replace("own", os.fsdecode(b"\xff\xc3(x")).replace("mirror", os.fsdecode(b"\xff"))
    written = written.replace("net", os.fsdecode(b"\x80net"))
    wanted = touched(home / written.removeprefix("~/").removesuffix(":Net"))
    config = resolve(preset, overrides=[parse_override(f"{name}={written}")])
    assert read(config) == str(wanted)
    (home / "c.yaml").write_text(config.to_yaml(), encoding="ascii")
    assert resolve(None, config_file=home / "c.yaml") == config
