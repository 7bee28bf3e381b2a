"""`nadtui studies`, and a sweep as a document."""

from __future__ import annotations

import json

from engine.record.layout import SUMMARY
from engine.sweeps import index, results
from engine.sweeps.grid import expand
from engine.sweeps.layout import RUNS
from engine.sweeps.studies import list_studies, load_study
from nadtui.cli.main import dispatch
from nadtui.cli.sweeping import Hiring
from tests.engine.sweeps.scripted_crew import Scripted
from tests.sweep_folders import made_up, write_made_up


def test_studies_are_listed(capsys):
    assert dispatch(["studies"]) == 0
    assert "paired" in capsys.readouterr().out
    assert dispatch(["studies", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert {"name", "question", "axes", "known"} <= set(values[0])


def test_a_mistake_in_a_persons_own_is_said_and_the_others_are_listed(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    (tmp_path / "studies").mkdir()
    text = "title: x\nquestion: y\naxes: {preset: [sig]}\n"
    (tmp_path / "studies" / "one.yaml").write_text(f"{text}base: {{defenses: [nad]}}")
    (tmp_path / "studies" / "two.yaml").write_text(f"{text}variants: {{v: {{a: {{defenses: [x]}}}}}}")
    (tmp_path / "studies" / "three.yaml").write_text(text)
    assert dispatch(["studies"]) == 0
    out = capsys.readouterr().out
    assert "paired" in out and "three" in out
    for name, said in zip(("one", "two"), caplog.messages, strict=True):
        assert f"left out: study {name}: " in said and "a table of defenses and their fields is wanted" in said


def test_one_is_shown_as_its_file_has_it(capsys):
    assert dispatch(["studies", "show", "taps"]) == 0
    assert "group2+3:" in capsys.readouterr().out
    assert dispatch(["studies", "show", "tap"]) == 2
    assert capsys.readouterr().err == (
        "error: unknown study 'tap': did you mean 'taps'? known: " + ", ".join(names()) + "\n"
    )


def names() -> list[str]:
    return [study.name for study in list_studies()]


def test_a_study_is_swept_with_other_axes(tmp_path, capsys):
    given = ["--study", "clean-share", "--preset", "sig", "--seeds", "0", "--attack-seeds", "0"]
    assert dispatch(["sweep", *given, "--dry-run", "--json", "--out", str(tmp_path / "s")]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(cell["preset"], cell["data.clean_fraction"]) for cell in cells if cell["defense"] == "nad"] == [
        *(("sig", share) for share in (0.01, 0.05, 0.1, 0.2)),
    ]
    assert not (tmp_path / "s").exists()


def test_a_sweep_is_exported(tmp_path, capsys):
    write_made_up(tmp_path / "s", 8, preset=["sig"], seed=range(2), attack_seed=range(2))
    assert dispatch(["sweep", "export", str(tmp_path / "s")]) == 0
    assert capsys.readouterr().out.startswith("# s\n")
    file = tmp_path / "s.svg"
    assert dispatch(["sweep", "export", str(tmp_path / "s"), "-o", str(file)]) == 0
    assert file.read_text().startswith("<svg")
    assert dispatch(["sweep", "export", str(tmp_path / "s"), "--format", "pdf"]) == 2
    assert "--format pdf: not for a terminal; name a file with -o" in capsys.readouterr().err
    assert dispatch(["sweep", "export", str(tmp_path)]) == 2
    assert "is not a sweep's folder" in capsys.readouterr().err


def test_what_is_there_is_not_run_again_to_reproduce_a_table(tmp_path, capsys):
    folder = tmp_path / "adaptive"
    found = expand(load_study("adaptive").grid({"seed": [0, 1], "recipe": ["paper"]})).index
    index.extend(folder, found, {})
    results.write(folder, [made_up(cell, number) for number, cell in enumerate(found.cells)])
    for cell in found.cells:
        (folder / RUNS / cell.id).mkdir()
        (folder / RUNS / cell.id / SUMMARY).touch()
    given = ["reproduce", "adaptive", "--seeds", "0-1", "--recipe", "paper", "--out", str(folder)]
    assert dispatch(given) == 0
    out, said = capsys.readouterr()
    assert "Does a trigger in the image's center" in out and "nad" in out and "finished" not in said
    assert dispatch([*given, "--workers", "0"]) == 2 and "1 to 1024" in capsys.readouterr().err
    assert dispatch([*given, "--dry-run"]) == 0 and capsys.readouterr().out.splitlines()[-1] == "4 done"
    assert dispatch([*given, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["study"], len(values["cells"])) == ("adaptive", 4)


def test_of_a_table_that_is_reproduced_only_the_cells_that_are_asked_for_run(tmp_path, capsys, monkeypatch):
    crew = Scripted()
    monkeypatch.setattr(Hiring, "crew", lambda self: crew)
    grid = load_study("adaptive").grid({"seed": [0, 1], "recipe": ["paper"]})
    index.extend(tmp_path / "s", expand(grid).index, grid.to_dict())
    given = ["reproduce", "adaptive", "--seeds", "0", "--recipe", "paper", "--out", str(tmp_path / "s")]
    assert dispatch([*given, "--dry-run"]) == 0 and "2 cells to run" in capsys.readouterr().out
    assert dispatch(given) == 0
    assert {cell.rpartition("-")[0].rpartition("-")[2] for cell in crew.calls} == {"s0"}
    assert len(index.read(tmp_path / "s").cells) == len(expand(grid).index.cells), "the others stay"


def test_what_the_paper_has_no_table_of_is_refused(capsys):
    assert dispatch(["reproduce", "paired"]) == 2
    assert "no table or figure of the paper's is called so: adaptive, figure-attention" in capsys.readouterr().err
