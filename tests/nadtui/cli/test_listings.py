"""`nadtui defenses` and `nadtui models`: what there is, one of it in full, and what is wrong."""

from __future__ import annotations

import hashlib
import json

import pytest
import yaml

from engine.config.run import validate
from nadtui.cli.main import dispatch
from tests.plugins import installed

PLUGIN = """
from typing import ClassVar
from engine.defenses.base import Defense, Stage
from engine.models.families import Family

class Brush(Defense):
    name: ClassVar[str] = "brush"
    summary: ClassVar[str] = "brushes"
    needs: ClassVar[frozenset] = frozenset({"poisoned set"})
    slow: ClassVar[bool] = True
    strength: float = 0.5

    def stages(self):
        return Stage("comb", "reference"), Stage("brush", needs=("comb",))

FAMILY = Family(form="nt-SIZE", pattern="nt-([1-9])", fits=lambda size: True, build=lambda size, classes: None)
"""


@pytest.fixture(autouse=True)
def _brush(tmp_path):
    entries = {"brush": "nt_brush:Brush"}
    with (
        installed(tmp_path / "a", "nt-brush", "nadtui.defenses", entries, {"nt_brush": PLUGIN}),
        installed(tmp_path / "b", "nt-net", "nadtui.models", {"nt": "nt_brush:FAMILY"}),
    ):
        yield


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = dispatch(arguments)
    return code, *capsys.readouterr()


def test_defenses_are_listed_with_their_stages_and_what_they_need(capsys):
    code, out, _ = run(capsys, "defenses")
    lines = [line for line in out.splitlines() if line.startswith(("nad ", "brush "))]
    assert code == 0
    assert "teacher (reference), nad" in lines[0] and lines[0].endswith("built in")
    assert "comb (reference), brush" in lines[1] and lines[1].endswith("nt-brush 1.0")
    assert "needs the poisoned set, slow: by name only" in lines[1]


def test_the_same_as_json(capsys):
    _, out, _ = run(capsys, "defenses", "--json")
    found = {each["name"]: each for each in json.loads(out)}
    assert next(iter(found)) == "nad" and list(found)[-1] == "brush"
    assert found["brush"]["needs"] == ["poisoned set"] and found["brush"]["slow"]
    assert [(each["name"], each["role"]) for each in found["nad"]["stages"]] == [
        ("teacher", "reference"),
        ("nad", "purified"),
    ]


def test_a_defense_is_shown_as_a_configuration_takes_it(capsys):
    _, out, _ = run(capsys, "defenses", "show", "brush")
    assert out.startswith("# brush (nt-brush 1.0): brushes\n")
    assert yaml.safe_load(out) == {"defenses": {"brush": {"strength": 0.5}}}
    _, out, _ = run(capsys, "defenses", "show", "nad")
    config = validate({"attack": {"name": "badnets"}, **yaml.safe_load(out)})
    assert config.defenses["nad"].distill.training.lr == 0.02
    _, out, _ = run(capsys, "defenses", "show", "brush", "--json")
    assert json.loads(out)["settings"] == {"strength": 0.5}


def test_models_are_listed_by_family(capsys):
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert any(line.startswith("wrn ") and line.endswith("built in") for line in out.splitlines())
    assert any(line.startswith("nt ") and line.endswith("nt-net 1.0") for line in out.splitlines())
    assert "FILE.py:NAME" in out
    _, out, _ = run(capsys, "models", "--json")
    assert next((each["name"], each["smallest"]) for each in json.loads(out)) == ("wrn", "wrn-10-1")


def test_a_network_is_shown_by_its_taps(capsys, tmp_path):
    _, out, _ = run(capsys, "models", "show", "wrn-16-2")
    assert [line.split() for line in out.splitlines()[-3:]] == [
        ["group1", "32", "1", "block1"],
        ["group2", "64", "2", "block2"],
        ["group3", "128", "4", "block3"],
    ]
    _, out, _ = run(capsys, "models", "show", "nt-1", "--json")
    assert json.loads(out) == {"name": "nt-1", "family": "nt", "origin": "nt-net 1.0", "taps": None}
    file = tmp_path / "net.py"
    file.write_text("raise SystemExit('it is executed')")
    _, out, _ = run(capsys, "models", "show", f"{file}:Net")
    assert hashlib.sha256(file.read_bytes()).hexdigest() in out and "known once it is built" in out


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("defenses", "show", "bruhs"), "unknown defense 'bruhs', did you mean 'brush'"),
        (("models", "show", "nt-0"), "unknown model 'nt-0'; allowed: nt-SIZE"),
        (("models", "show", "nowhere.py:Net"), "nowhere.py cannot be read"),
    ],
)
def test_what_there_is_not_is_said_in_a_line(capsys, arguments, wanted):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert wanted in err and err.count("\n") == 1
