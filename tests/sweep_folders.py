"""Sweeps of cells that nobody trained, for the tests and measurements of whatever reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.record.layout import SUMMARY
from engine.sweeps import index, results
from engine.sweeps.grid import Grid, expand
from engine.sweeps.layout import RUNS


def write_made_up(folder: Path, n: int, **axes: Any) -> list[index.Cell]:
    """A sweep of `n` finished cells with made-up figures; the further `axes` are laid over those below."""
    wanted = {"preset": ["badnets", "sig", "wanet", "blend"], "dataset": ["signs"], "defense": ["nad", "fine-tuning"]}
    wanted |= axes
    fixed = {"seed": len(axes.get("seed", range(5)))}
    others = 1
    for name, values in wanted.items():
        others *= len(values) if name not in fixed else 1
    seeds = list(axes.get("seed", range(5)))
    attack_seeds = list(axes.get("attack_seed", range(-(-n // (others * len(seeds))))))
    grid = Grid({**wanted, "attack_seed": attack_seeds, "seed": seeds})
    found = expand(grid).index
    cells = list(found.cells)[:n]
    index.extend(folder, index.Index(cells, found.templates), grid.to_dict())
    lines = []
    for number, cell in enumerate(cells):
        run = Path(folder) / RUNS / cell.id
        run.mkdir(parents=True, exist_ok=True)
        (run / SUMMARY).touch()
        lines.append(made_up(cell, number))
    results.write(folder, lines)
    return cells


def made_up(cell: index.Cell, number: int) -> dict[str, Any]:
    """The line of a finished cell: figures that differ from cell to cell, ASR lower for nad than for others."""
    lost = 1.0 + number % 7 / 4
    asr = (4.0 if cell.axes["defense"] == "nad" else 31.0) + cell.axes["seed"] + 0.5 * (number % 3)
    before = {"acc": 94.0 + number % 5 / 10, "asr": 97.0 + number % 4 / 2, "ra": 2.0, "base": 0.5}
    return {
        "cell": cell.id,
        "acc": before["acc"] - lost,
        "asr": asr,
        "ra": 90.0 - asr / 2,
        "base": 0.5,
        "suspect": before,
        "seconds": 20.0 + number % 11,
        "training_seconds": None,
        "image_steps": 20_000.0 + 10 * (number % 11),
    }
