"""What is left of a sweep is told by what its finished cells took."""

from __future__ import annotations

from engine.sweeps.grid import Grid, expand
from engine.sweeps.spent import Spent


def test_the_dearest_go_first_whatever_their_attack_and_those_of_an_unknown_kind_before_all():
    found = expand(Grid({"preset": ["badnets", "sig"], "defense": ["clp", "fine-tuning", "nad"]})).index
    spent = Spent()
    for cell, seconds in zip(found.cells[:2], (2.0, 9.0), strict=True):
        spent.note(cell, seconds + 50.0, 50.0)
    spent.note(found.cells[2], None, None)
    order = [(cell.axes["preset"], cell.axes["defense"]) for cell in spent.dearest_first(found.cells)]
    assert [defense for _, defense in order] == ["nad", "nad", "fine-tuning", "fine-tuning", "clp", "clp"]
    assert [preset for preset, _ in order] == ["badnets", "sig"] * 3
    assert spent.expected(found.cells, {}) == 2 * (2.0 + 9.0 + 5.5) + 50.0, "the suspect of sig is yet to be trained"
    assert Spent().expected(found.cells, {}) is None


def test_what_is_left_to_train_counts_once_a_suspect_and_less_what_is_done_of_it():
    found = expand(Grid({"preset": ["badnets"], "defense": ["clp"], "seed": [0, 1, 2], "attack_seed": [0, 1]})).index
    spent = Spent()
    first, *left = found.cells
    assert spent.expected(left, {}) is None
    spent.note(first, 62.0, 50.0)
    assert spent.expected(left, {}) == 5 * 12.0 + 50.0
    maker = next(cell for cell in left if cell.suspect != first.suspect)
    assert spent.expected(left, {maker.id: 20.0, left[0].id: 99.0}) == 3 * 12.0 + (62.0 - 20.0)
