"""What a sweep over suspects of the zoo comes to, in the terms a recipe is judged by; prints, asserts nothing.

    nadtui sweep --preset all --suspect zoo --seeds 0-1 --attack-seeds 0-1 --dataset signs --workers 2 --out DIR
    python -m tests.measure_recipe [--reach R] DIR...

Excess: ASR less what the same trigger does to a clean model of the zoo after the same recipe with the same clean subset
(the sweep has to hold cells of preset clean, with their last checkpoint). A suspect's figure is the mean over its clean
subsets; the worst decile is the 90th percentile of those means, the worst is of single cells.

--reach: what the same models come to on the way back to their suspects, at that share of the way from them (the field
`defenses.nad.distill.reach`), without training any anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine import zoo
from engine.device import choose
from engine.record.layout import SUMMARY
from engine.storage.checkpoints import load_weights
from engine.zoo.contents import load
from engine.zookeeping.measuring import measured_with


@dataclass(frozen=True)
class Cell:
    """A finished run on a suspect of the zoo."""

    folder: Path
    suspect: str
    preset: str
    seed: int
    defense: str
    place: str
    """Data set and network."""
    before: tuple[float, float | None]
    """ACC and ASR of the suspect."""
    after: tuple[float, float | None]
    checkpoint: Path
    reach: float = 1.0

    def weights(self) -> dict[str, Tensor]:
        """The purified model's, drawn back to the suspect's as far as `reach` says."""
        own = load_weights(self.checkpoint)[0]
        if self.reach == 1:
            return own
        origin = load(zoo.card(self.suspect)).weights
        drawn = {name: torch.lerp(origin[name].float(), there.float(), self.reach) for name, there in own.items()}
        return {name: drawn[name].to(there.dtype) for name, there in own.items()}

    def drawn_back(self, reach: float) -> Cell:
        """The cell as it would have ended at another reach: measured."""
        there = replace(self, reach=reach)
        found = measured_with(zoo.card(self.suspect), there.weights(), choose("cpu", "fp32"))
        return replace(there, after=(found.acc, None if self.after[1] is None else found.asr))


def cells(sweep: Path) -> Iterator[Cell]:
    """The finished runs of a sweep's folder, or of a folder of runs."""
    for file in sorted(sweep.rglob(SUMMARY)):
        told = json.loads(file.read_text("utf-8"))
        if told["status"] == "finished" and told["suspect"]["source"] == "zoo":
            yield _cell(file.parent, told)


def _cell(run: Path, told: dict[str, Any]) -> Cell:
    first, last = told["stages"][0], told["stages"][-1]
    return Cell(
        folder=run,
        suspect=told["suspect"]["name"],
        preset=told["preset"],
        seed=told["seed"],
        defense=last["defense"],
        place=f"{told['dataset']['name']} {told['model']['name']}",
        before=(first["acc"], first["asr"]),
        after=(last["acc"], last["asr"]),
        checkpoint=run / last["checkpoint"],
    )


def references(found: list[Cell]) -> dict[tuple[str, str, int, str], float]:
    """What each trigger does to the clean model of its kind, purified with the same subset: ASR in percent."""
    device = choose("cpu", "fp32")
    clean = {(each.place, each.seed, each.defense): each for each in found if each.preset == "clean"}
    weights = {key: each.weights() for key, each in clean.items() if each.checkpoint.is_file()}
    asr = {}
    for each in found:
        key = (each.place, each.seed, each.defense)
        if each.after[1] is not None and key in weights:
            metrics = measured_with(zoo.card(each.suspect), weights[key], device)
            asr[(each.suspect, each.place, each.seed, each.defense)] = metrics.asr
    return asr


def report(found: list[Cell]) -> None:
    """A line a suspect, then the whole, for each data set, network and defense."""
    of_clean = references(found)
    groups = defaultdict(list)
    for each in found:
        groups[each.place, each.defense].append(each)
    for (place, defense), group in sorted(groups.items()):
        _group(f"{place}, {defense}", group, of_clean)


def _group(title: str, group: list[Cell], of_clean: dict[tuple[str, str, int, str], float]) -> None:
    say(f"\n{title}: {len(group)} cells")
    excess, lost = defaultdict(list), defaultdict(list)
    for each in group:
        lost[each.suspect].append(each.before[0] - each.after[0])
        reference = of_clean.get((each.suspect, each.place, each.seed, each.defense))
        if each.after[1] is not None and reference is not None:
            excess[each.suspect].append(each.after[1] - reference)
    for suspect in sorted(lost):
        of_it = [each for each in group if each.suspect == suspect]
        left = " ".join(f"{each.after[1]:.1f}" for each in of_it if each.after[1] is not None)
        above = " ".join(f"{value:+.1f}" for value in excess[suspect])
        acc = " ".join(f"{each.after[0]:.1f}" for each in of_it)
        before = of_it[0].before
        say(f"  {suspect}: ACC {before[0]:.1f} -> {acc}; ASR {before[1] or 0:.1f} -> {left}; excess {above}")
    of_suspects = [each for each in lost if not each.startswith("clean-")]
    _line("ACC lost", [lost[each] for each in of_suspects])
    _line("excess ASR", [excess[each] for each in of_suspects if excess[each]])
    _line("ACC lost by clean models", [values for each, values in lost.items() if each not in of_suspects])


def _line(what: str, values: list[list[float]]) -> None:
    if values:
        means = [fmean(each) for each in values]
        worst = max(value for each in values for value in each)
        say(
            f"  {what}: mean {fmean(means):.2f}, worst decile {np.percentile(means, 90):.2f}, worst {worst:.2f} "
            f"({len(values)} suspects, {sum(map(len, values))} cells)"
        )


def say(line: str) -> None:
    """A result."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--reach", type=float, default=1.0)
    options = parser.parse_args()
    found = [each for folder in options.folders for each in cells(folder)]
    report([each.drawn_back(options.reach) for each in found] if options.reach != 1 else found)
