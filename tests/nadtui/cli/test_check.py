"""`nadtui check`: the contract's checks on a person's own thing, a line each, and what they come to."""

from __future__ import annotations

import json

import pytest

from engine.defenses import DEFENSES
from engine.testing.checks import CHECKS
from nadtui.cli.main import dispatch
from tests.plugins import installed

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, classes)

    def forward(self, images):
        return self.fc(self.body(images).mean(dim=(2, 3)))

class Crooked(Net):
    def forward(self, images):
        return super().forward(images.mul_(0.5))
"""
SOURCE = """
from engine.data import embedded

def load(settings, progress):
    return embedded.load(settings, progress)
"""


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = dispatch(("check", *arguments))
    return code, *capsys.readouterr()


def names(kind: str) -> list[str]:
    return ["loads_late", *(check.__name__ for check in CHECKS[kind])]


def test_a_network_of_ones_own_is_checked_by_its_file(capsys, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    code, out, err = run(capsys, f"{tmp_path / 'net.py'}:Net")
    lines = out.splitlines()
    assert code == 0, out
    assert lines[0] == "not tried  loads_late: it comes from a file, which nothing opens before it runs"
    assert lines[1:] == [f"ok         {name}" for name in names("model")[1:]]
    assert err.strip().endswith("net.py:Net: 13 checks, none broken")


def test_what_is_broken_says_so_in_a_line_and_in_the_exit_code(capsys, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    code, out, err = run(capsys, f"{tmp_path / 'net.py'}:Crooked")
    broken = [line for line in out.splitlines() if not line.startswith(("ok ", "not tried "))]
    assert code == 1
    assert broken == ["broken     inputs_untouched: a pass writes into the images"]
    assert err.strip().endswith("13 checks, 1 broken")


def test_a_data_source_of_a_package_as_json(capsys, tmp_path):
    with installed(tmp_path, "nt-signs", "nadtui.data", {"more-signs": "nt_signs"}, {"nt_signs": SOURCE}):
        code, out, _ = run(capsys, "more-signs", "--json")
    told = json.loads(out)
    assert code == 0, out
    assert (told["kind"], told["name"], told["broken"]) == ("data", "more-signs", 0)
    assert [each["check"] for each in told["checks"]] == names("data")
    assert {each["state"] for each in told["checks"]} == {"ok"}


def test_settings_of_its_own_are_tried(capsys, monkeypatch):
    """An attack in a corner that its images do not have is refused, and broken: nothing of the user's is touched."""
    monkeypatch.setenv("NADTUI_CACHE", "/nowhere/that/can/be/made")
    code, out, err = run(capsys, "badnets", "--set", "size=17")
    assert code == 1
    assert "broken     poisons_as_declared: carried out, it ends in" in out
    assert "not tried  trigger: see poisons_as_declared" in out
    assert "attack badnets[size=17]: 12 checks, " in err


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("fine-tunning",), "nothing is called 'fine-tunning'; did you mean 'fine-tuning'?"),
        (("attack:nad",), "nothing is called 'nad'; known: badnets, "),
        (("nowhere.py:Net",), "nowhere.py cannot be read"),
        (("wrn", "--set", "depth=10"), "--set 'depth=10': a network has no settings"),
        (("nad", "--set", "beta"), "FIELD=VALUE is wanted"),
    ],
)
def test_what_cannot_be_checked_is_said_in_a_line(capsys, arguments, wanted):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert wanted in err and err.count("\n") == 1


def test_a_name_of_two_kinds_has_to_say_which(capsys, monkeypatch):
    monkeypatch.setitem(DEFENSES.ours, "blend", "engine.defenses.fine_tuning:FineTuning")
    code, _, err = run(capsys, "blend")
    assert code == 2
    assert "'blend' is more than one thing: say attack:blend or defense:blend" in err


def test_a_source_that_prints_leaves_a_document(capsys, tmp_path):
    source = f"print('imported')\n{SOURCE}".replace("    return", "    print('asked')\n    return")
    with installed(tmp_path, "nt-loud", "nadtui.data", {"loud-signs": "nt_loud"}, {"nt_loud": source}):
        code, out, err = run(capsys, "loud-signs", "--json")
    assert (code, json.loads(out)["broken"]) == (0, 0)
    assert "asked\n" in err
