"""How budgets of ACC are kept, over suspects of the zoo; prints, asserts nothing.

    nadtui sweep --preset all --suspect zoo --seeds 0 --attack-seeds 0-1 --dataset signs \
        --set defenses.nad.budget=0 --workers 2 --out DIR
    python -m tests.measure_budget DIR

A run with a budget of 0 has tried every reach down to the first that costs nothing, so it knows what any other budget
would have chosen; the student of that reach lies on the line to its own, and is measured. Excess: ASR less what the
same trigger does to a clean model of the zoo, purified under the same budget with the same clean subset.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from statistics import fmean

import numpy as np

from engine.record.layout import RECORD
from tests.measure_recipe import Cell, cells, references, say

BUDGETS = (1.0, 2.0, 4.0, math.inf)
"""In points of ACC; the last is the student as it is where there is no budget."""


def losses(run: Path) -> dict[float, float]:
    """By reach, from the furthest on, the points of ACC that the trial's student lost on the held images."""
    told = [json.loads(line) for line in (run / RECORD).read_text("utf-8").splitlines()]
    (chosen,) = [each for each in told if each.get("what") == "reach" and "scores" in each]
    tried = {float(reach): score for reach, score in chosen["scores"].items() if score is not None}
    return {reach: -score for reach, score in tried.items() if not math.isnan(score)}


def within(lost: dict[float, float], budget: float) -> float:
    """The reach that a run with that budget would have chosen."""
    kept = [reach for reach, points in lost.items() if points <= budget]
    return max(kept) if kept else min(lost, key=lambda reach: (lost[reach], -reach))


def at(cell: Cell, lost: dict[float, float], budget: float) -> Cell:
    """The cell as it ends under a budget: its own model is the student at the reach of a budget of 0."""
    return cell.drawn_back(within(lost, budget) / within(lost, 0.0))


def main(folder: Path) -> None:
    """A line a suspect and budget, then what each budget comes to."""
    found = list(cells(folder))
    known = {each.folder: losses(each.folder) for each in found}
    for budget in BUDGETS:
        held = {each.folder: at(each, known[each.folder], budget) for each in found}
        of_clean = references(list(held.values()))
        really, excess = [], []
        for each in found:
            there, lost = held[each.folder], known[each.folder]
            reach = within(lost, budget)
            really.append(each.before[0] - there.after[0])
            base = of_clean.get((each.suspect, each.place, each.seed, each.defense))
            above = math.nan if there.after[1] is None or base is None else there.after[1] - base
            excess += [] if math.isnan(above) else [above]
            say(
                f"  budget {budget:g}, {each.suspect}, subset {each.seed}: reach {reach:g}, lost {lost[reach]:.1f} of "
                f"those held, really {really[-1]:.1f}; ASR {there.after[1] or 0:.1f}, excess {above:.1f}"
            )
        kept = sum(points <= budget + 1 for points in really)
        say(
            f"budget {budget:g}: within a point more in {kept} of {len(really)}; really lost {fmean(really):.2f} "
            f"(worst {max(really):.1f}); excess {fmean(excess):.2f}, worst decile {np.percentile(excess, 90):.2f}, "
            f"worst {max(excess):.2f}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
