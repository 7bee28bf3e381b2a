"""Whether the shadow ASR tells a defender, who has no trigger, when erasing is done; prints, asserts nothing.

    nadtui sweep --preset all --suspect zoo --defense fine-tuning --recipe classic --attack-seeds 0-1 --dataset signs \\
        --set evaluation.shadow=true --workers 2 --out DIR
    python -m tests.measure_shadow DIR...

By preset, over its suspects: whether the class is the attacker's, how far it and how small its patch is (* = it stands
out); over all that was looked at (the suspect, every live evaluation, the last epoch) Pearson's correlation of ASR with
what each made-up trigger does. An all-clear is a model whose shadow ASR is at most 5 %: how many of these have an ASR
above 20 %, and the largest of those. An erased one (ASR at most 5 %) is alarmed where its shadow ASR is above 20 %. At
the end the same of all suspects whose class is the attacker's.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.record.layout import SUMMARY
from engine.record.reading import read_events
from engine.record.view import RunView, fold
from nadtui.runs import shadowed

LOW, HIGH = 5.0, 20.0
"""Percent: what counts as gone, and as there."""


class Point(NamedTuple):
    """A model that was looked at."""

    asr: float
    """NaN where there is no trigger."""
    figures: dict[str, float]

    @property
    def shadow(self) -> float:
        """The shadow ASR."""
        return shadowed.main(self.figures)


def say(line: str) -> None:
    """A result."""
    sys.stdout.write(line + "\n")


def points(view: RunView) -> list[Point]:
    """Every model that was looked at in a run."""
    return [
        Point(looked[shadow.epoch].metrics.asr, shadow.figures)
        for stage in view.stages.values()
        for looked in [{point.epoch: point for point in stage.evaluations}]
        for shadow in stage.shadows
        if shadow.epoch in looked
    ]


def correlation(xs: list[float], ys: list[float]) -> float:
    """Pearson's; NaN where one of them does not vary."""
    return float(np.corrcoef(xs, ys)[0, 1]) if min(np.std(xs), np.std(ys)) > 0 else math.nan


def judged(known: list[Point]) -> str:
    """How often the shadow ASR says what is not so."""
    clear = [point.asr for point in known if point.shadow <= LOW]
    wrong = sum(value > HIGH for value in clear)
    gone = [point.shadow for point in known if point.asr <= LOW]
    return (
        f"{wrong} of {len(clear)} all-clears wrong (ASR up to {max(clear, default=math.nan):.0f}), "
        f"{sum(value > HIGH for value in gone)} of {len(gone)} erased ones alarmed"
    )


def told(preset: str, views: list[RunView]) -> None:
    """What a preset's runs come to."""
    made = [view.proxies for view in views if view.proxies is not None]
    targets = [(view.config.get("attack") or {}).get("target") for view in views if view.proxies is not None]
    named = ", ".join(
        f"{'right' if each.target == target else 'wrong'} z {shadowed.z(each):.1f} {each.cells:.0f} px"
        f"{' *' * each.stands_out}"
        for each, target in zip(made, targets, strict=True)
    )
    found = [point for view in views for point in points(view)]
    known = [point for point in found if not math.isnan(point.asr)]
    ends = [points(view)[-1] for view in views if points(view)]
    parts = [f"{preset}: class {named}; at the end shadow {', '.join(f'{end.shadow:.0f}' for end in ends)}"]
    if known:
        asr = [point.asr for point in known]
        by_name = {name: correlation(asr, [p.figures[name] for p in known]) for name in known[0].figures}
        parts += [
            f"ASR {', '.join(f'{end.asr:.0f}' for end in ends)}",
            f"{len(known)} models, correlation {', '.join(f'{name} {value:.2f}' for name, value in by_name.items())}",
            judged(known),
        ]
    say("; ".join(parts))


def main() -> None:
    """Read the runs of all folders given."""
    by_preset: dict[str, list[RunView]] = defaultdict(list)
    for folder in sys.argv[1:]:
        for file in sorted(Path(folder).rglob(SUMMARY)):
            view = fold(read_events(file.parent).events)
            if view.proxies is not None:
                by_preset[view.preset].append(view)
    right = []
    for preset, views in by_preset.items():
        told(preset, views)
        for view in views:
            attack = view.config.get("attack") or {}
            if view.proxies.target == attack.get("target") and attack.get("label_rule") != "all-to-all":
                right += [point for point in points(view) if not math.isnan(point.asr)]
    asr = [point.asr for point in right]
    say(
        f"class is the attacker's: {len(right)} models, correlation "
        f"{correlation(asr, [point.shadow for point in right]):.2f}, {judged(right)}"
    )


if __name__ == "__main__":
    main()
