"""Commands on a run with two purified models, with and without a trigger."""

import pytest

from tests import run_folders
from tests.nadtui.cli.test_cli import run


@pytest.fixture
def root(tmp_path):
    for name, attacked in (("two", True), ("none", False)):
        events = run_folders.side_by_side(attacked=attacked, run=name)
        run_folders.write_events(tmp_path, name, events[0].config, events)
    return tmp_path


def test_show_tells_roles_choices_and_the_way(capsys, root):
    code, out, _ = run(capsys, "show", root / "two")
    assert code == 0
    for said in (
        "teacher (for nad)",
        "chose bound 4",
        "On the way to fine-tuning:",
        "clean and triggered side by side",
    ):
        assert said in out


def test_show_of_a_run_without_a_trigger_shows_what_there_is(capsys, root):
    code, out, _ = run(capsys, "show", root / "none")
    assert code == 0
    assert "No trigger is known: there is no ASR, RA or base." in out
    assert "attention maps:" in out and "nan" not in out and "by epoch: ━ ACC\n" in out.replace("━ ACC  ", "━ ACC")


def test_runs_count_the_further_purified_models(capsys, root):
    code, out, _ = run(capsys, "runs", "--out", root)
    assert code == 0
    assert out.count("97.0 → 96.5  +1") == 2 and "– → –" not in out


def test_compare_puts_both_side_by_side(capsys, root):
    code, out, _ = run(capsys, "compare", root / "two", root / "none")
    assert code == 0
    assert "none (no trigger is known)" in out and "teacher (for nad)" in out


def test_show_sets_the_defenses_side_by_side_in_the_order_asked_for(capsys, root):
    def defenses(*options: str) -> list[str]:
        code, out, _ = run(capsys, "show", root / "two", *options)
        assert code == 0
        lines = out.splitlines()
        head = next(place for place, line in enumerate(lines) if line.startswith("defense "))
        assert "image steps" in lines[head]
        return [line.split()[0] for line in lines[head + 1 : head + 4]]

    assert defenses() == ["(suspect)", "nad", "fine-tuning"]
    assert defenses("--sort", "name") == ["(suspect)", "fine-tuning", "nad"]
    code, _, err = run(capsys, "show", root / "two", "--sort", "best")
    assert code == 2 and "--sort best: allowed: run, name" in err


@pytest.mark.parametrize("form", ["md", "html", "tex"])
def test_exports_carry_the_defenses_side_by_side(capsys, root, form):
    code, out, _ = run(capsys, "export", root / "two", "--format", form)
    assert code == 0 and "Side by side" in out and "image steps" in out and "bound 4" in out
