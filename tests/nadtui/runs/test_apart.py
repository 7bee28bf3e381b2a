"""Runs that look alike are told apart by what differs in their configuration."""

from __future__ import annotations

import dataclasses

from nadtui.runs.apart import MOST, apart
from nadtui.runs.catalog import Catalog
from nadtui.workbench.widgets.run_columns import columns
from tests import run_folders


def test_what_differs_is_said_as_shortly_as_tells_it_apart():
    one = {"seed": 0, "training.lr": 0.1, "training.epochs": 4, "defenses.nad.distill.p": 2.0}
    other = {"seed": 1, "training.lr": 0.1, "training.epochs": 8, "defenses.nad.distill.p": 2.0}
    assert apart([one, other]) == [("epochs 4",), ("epochs 8",)]
    both = {"a.lr": 1, "b.lr": 2}
    assert apart([both, {"a.lr": 2, "b.lr": 3}]) == [("a.lr 1", "b.lr 2"), ("a.lr 2", "b.lr 3")]
    assert apart([one, one]) == [(), ()]
    tuned = {"seed": 0, "training.lr": 0.2, "training.epochs": 4, "defenses.fine-tuning.training.lr": 1.0}
    assert apart([one, tuned]) == [("nad", "lr 0.1"), ("fine-tuning", "lr 0.2")]
    many = [{f"field{place}": number for place in range(9)} for number in range(2)]
    assert all(len(said) == MOST for said in apart(many))


def test_a_file_is_said_by_the_end_of_its_path_that_tells_it_apart():
    files = ("trained", "/some/where/one.pt", "/some/where/else/two.pt", "/here/two.pt", None)
    said = apart([{"suspect": file} for file in files])
    assert said == [("suspect trained",), ("suspect one.pt",), ("suspect else/two.pt",), ("suspect here/two.pt",), ()]
    assert apart([{"taps": ["a/b"]}, {"taps": ["c"]}]) == [("taps ['a/b']",), ("taps ['c']",)]


def test_in_the_list_two_runs_that_look_alike_are_told_apart_at_any_width(tmp_path):
    for number, rate in enumerate((0.1, 0.2)):
        name = f"20260101-12000{number}-badnets-signs-s0"
        run_folders.write(tmp_path, name, attack={"poisoning_rate": rate})
    run_folders.write(tmp_path, "20260101-120100-sig-signs-s0", preset="sig")
    listed = Catalog(tmp_path).rows()
    assert sorted(row.apart for row in listed) == [(), ("poisoning_rate 0.1",), ("poisoning_rate 0.2",)]
    assert next(row for row in listed if row.preset == "sig").apart == ()
    badnets = next(row for row in listed if row.apart)
    two = dataclasses.replace(badnets, apart=("lr 0.1", "epochs 8"))
    for width, said in ((40, "badnets lr 0.1 epochs 8"), (20, "badn… lr 0.1 epochs 8"), (12, "badne… 0.1 8")):
        [shown] = [column for column in columns(180, alike=True) if column.title == "preset"]
        assert shown.text(two, width) == said, width
    for width in (60, 66, 80, 104, 132, 180):  # in the list itself the values are never cut
        [shown] = [column for column in columns(width, alike=True) if column.title == "preset"]
        assert shown.text(two, shown.width).endswith(("0.1 8", "lr 0.1 epochs 8"))
        assert len(shown.text(two, shown.width)) <= shown.width
