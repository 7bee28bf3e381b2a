"""`nadtui results`: listed, filtered, added to, written into a README."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.config.layers import nested
from engine.config.presets import resolve
from nadtui.cli.main import dispatch
from nadtui.export.readme import BEGIN, END
from nadtui.runs import book
from tests import run_folders


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of presets of the test's own, which is also the working folder."""
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine"


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = dispatch([str(argument) for argument in arguments])
    return (code, *capsys.readouterr())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1
    return err


# --- listing ---


def test_a_filter_lists_the_rows_that_it_leaves(capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "results", "cifar10", "refool", "thorough", "status=default")
    head, line = out.splitlines()
    assert code == 0 and head.split()[:2] == ["data", "preset"]
    assert "nad, thorough" in line and "85.4 / 96.2" in line and "81.6 ± 0.5 / 6.6 ± 0.8" in line


ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"nadtui results (?!readme|add)([^`()]*)[`)]")


def test_whatever_the_texts_say_to_look_up_is_there(capsys: pytest.CaptureFixture[str]):
    texts = [ROOT / "README.md", *sorted((ROOT / "presets").rglob("*.yaml"))]
    filters = {found for text in texts for found in NAMED.findall(text.read_text(encoding="utf-8"))}
    assert len(filters) > 10
    for named in sorted(filters):
        code, out, _ = run(capsys, "results", *shlex.split(named))
        assert code == 0 and out, named


def test_a_word_is_looked_for_in_the_notes_too(capsys: pytest.CaptureFixture[str]):
    _, out, _ = run(capsys, "results", "signs", "Search", "--json")
    assert all("search" in row["note"].casefold() for row in json.loads(out)) and json.loads(out)


def test_without_a_filter_all_are_listed(capsys: pytest.CaptureFixture[str]):
    for arguments in (["results"], ["results", "list"]):
        _, out, _ = run(capsys, *arguments)
        assert len(out.splitlines()) == 1 + len(book.shipped())


def test_json_holds_every_column(capsys: pytest.CaptureFixture[str]):
    for arguments in (["results", "--json"], ["results", "gtsrb", "--json"]):
        _, out, _ = run(capsys, *arguments)
        assert {"config", "asr.after", "asr.after.std", "n", "version"} <= set(json.loads(out)[0])
    assert {row["data"] for row in json.loads(out)} == {"gtsrb"}


def test_nothing_found_is_no_error(capsys: pytest.CaptureFixture[str]):
    assert run(capsys, "results", "nowhere") == (0, "", "no row matches\n")
    code, out, _ = run(capsys, "results", "nowhere", "--json")
    assert (code, json.loads(out)) == (0, [])


def test_a_wrong_filter_is_refused(capsys: pytest.CaptureFixture[str]):
    assert "a number is wanted" in refused(capsys, "results", "asr<few")


# --- adding ---


def noted(own: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (own / "results" / "signs.jsonl").read_text().splitlines()]


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A finished run as `load` tells of it."""
    config = resolve("badnets", dataset="signs", overrides=[{"seed": 3, "training": {"epochs": 9}}]).to_dict()
    figures = {"acc": 90.0, "asr": 5.0, "ra": 85.0, "base": 1.0, "seconds": 20.0, "cached": False}
    roles = [("attack", "suspect", ""), ("teacher", "reference", "nad"), ("nad", "purified", "nad")]
    summary = {
        "run": "20260101-120000-badnets-signs-s3",
        **{"preset": "badnets", "recipe": "default", "config_sha256": "ab" * 32},
        **{"dataset": {"name": "signs"}, "model": {"name": "wrn-16-1"}, "environment": {"threads": 1}},
        "stages": [{"stage": name, "role": role, "defense": whose, **figures} for name, role, whose in roles],
    }
    report = SimpleNamespace(complete=True, state="finished", summary=summary, view=SimpleNamespace(config=config))
    monkeypatch.setattr("nadtui.runs.loading.load", lambda run, out: report)
    return summary


def test_a_finished_run_is_noted_down(capsys: pytest.CaptureFixture[str], own: Path, finished: dict[str, Any]):
    code, out, err = run(capsys, "results", "add", "a-run", "--note", "why", "--status", "prototype")
    assert (code, out) == (0, "") and err == f"written: {own / 'results' / 'signs.jsonl'}\n"
    [row] = noted(own)
    assert row["differs"] == ["training.epochs=9"] and (row["attack.seed"], row["seeds"]) == (3, [3])
    assert (row["asr.before"], row["acc.after"], row["seconds"]) == (5.0, 90.0, 60.0)
    assert (row["status"], row["note"], row["config"], row["run"]) == ("prototype", "why", "ab" * 32, finished["run"])
    assert [each["run"] for each in book.read()][-1] == finished["run"]


def test_a_run_is_noted_down_once(capsys: pytest.CaptureFixture[str], own: Path, finished: dict[str, Any]):
    run(capsys, "results", "add", "a-run", "a-run")
    code, _, err = run(capsys, "results", "add", "a-run")
    assert code == 0 and err == "a-run: is in the book already\n" and len(noted(own)) == 1
    assert "status" in noted(own)[0] and "note" not in noted(own)[0]


def test_it_is_written_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, finished: dict[str, Any]
):
    run(capsys, "results", "add", "a-run", "--to", tmp_path / "there")
    assert len(noted(tmp_path / "there")) == 1


def test_a_run_of_an_attack_of_ones_own_tells_the_whole_attack(
    capsys: pytest.CaptureFixture[str], own: Path, finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    config = resolve(None, dataset="signs", overrides=[{"attack": {"name": "badnets", "size": 5}}]).to_dict()
    report = SimpleNamespace(complete=True, state="finished", summary=finished, view=SimpleNamespace(config=config))
    monkeypatch.setattr("nadtui.runs.loading.load", lambda run, out: report)
    run(capsys, "results", "add", "a-run")
    [row] = noted(own)
    assert {'attack.name="badnets"', "attack.size=5"} <= set(row["differs"])
    assert all(text.startswith("attack.") for text in row["differs"])


def test_a_run_by_a_recipe_from_a_file_differs_from_the_default_one(
    capsys: pytest.CaptureFixture[str], own: Path, finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    rate = nested("defenses.nad.distill.training.lr", 0.007)
    config = resolve("badnets", dataset="signs", overrides=[rate]).to_dict() | {"recipe": "somebodys"}
    report = SimpleNamespace(complete=True, state="finished", summary=finished, view=SimpleNamespace(config=config))
    monkeypatch.setattr("nadtui.runs.loading.load", lambda run, out: report)
    run(capsys, "results", "add", "a-run")
    [row] = noted(own)
    assert row["recipe"] == "default" and "defenses.nad.distill.training.lr=0.007" in row["differs"]


def test_what_a_vanished_preset_said_cannot_be_told(
    capsys: pytest.CaptureFixture[str], finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    config = {"preset": "gone", "recipe": "default", "data": {"name": "signs"}}
    report = SimpleNamespace(complete=True, state="finished", summary=finished, view=SimpleNamespace(config=config))
    monkeypatch.setattr("nadtui.runs.loading.load", lambda run, out: report)
    said = refused(capsys, "results", "add", "a-run")
    assert "a-run: what it differs in cannot be told: unknown preset 'gone'" in said


def test_a_record_without_figures_is_refused(capsys: pytest.CaptureFixture[str], finished: dict[str, Any]):
    finished["stages"] = [{"stage": "nad", "acc": 90.0}]  # nobody says what the stage is
    assert "holds no figures" in refused(capsys, "results", "add", "a-run")


def test_only_finished_runs_are_noted_down(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    folder = run_folders.write(tmp_path / "runs", "20260101-120000-badnets-signs-s0", end="failed")
    assert "only finished runs are noted down (state: failed)" in refused(capsys, "results", "add", folder)
    assert "--status best: allowed are default, tried, prototype" in refused(
        capsys, "results", "add", folder, "--status", "best"
    )


# --- the README ---


def test_a_stale_readme_is_told_and_mended(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    file = tmp_path / "README.md"
    file.write_text(f"# A title\n\n{BEGIN}\n{END}\n")
    code, out, err = run(capsys, "results", "readme", "--check")
    assert (code, out) == (1, "") and err.startswith("error: README.md: ") and err.count("\n") == 1
    assert run(capsys, "results", "readme") == (0, "", "written: README.md\n")
    assert "| cifar10 | badnets |" in file.read_text()
    assert run(capsys, "results", "readme", "--check", "README.md") == (0, "", "")
    assert run(capsys, "results", "readme") == (0, "", "")


def test_ones_own_rows_are_not_the_readmes(capsys: pytest.CaptureFixture[str], tmp_path: Path, own: Path):
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    run(capsys, "results", "readme")
    book.append([{"data": "signs", "status": "default", "preset": "badnets", "acc.before": 1.0}], own)
    assert run(capsys, "results", "readme", "--check")[0] == 0


def test_a_readme_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert "cannot be read" in refused(capsys, "results", "readme", tmp_path / "none.md")
    (tmp_path / "README.md").write_text("no table")
    assert "README.md: the lines" in refused(capsys, "results", "readme")
