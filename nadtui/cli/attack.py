"""`nadtui attack`: an attack without a defense, its trigger and poisoned images as files for other tools."""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

from engine.events import Event, outcome
from engine.record.view import RunView
from nadtui import formatting
from nadtui.cli import output, tables
from nadtui.runs.narrate import PlainDisplay
from nadtui.runs.request import RunOptions, build_config

Made = TypeVar("Made")


def export_attack(options: RunOptions, out: Path, images: int) -> None:
    """Carry out the attack and write it to `out`, with at most `images` images of each kind.

    Raises:
        RequestError: the attack cannot be carried out, or `out` holds something already.
    """
    from engine.running import attack_files

    attack_files.check_out(out)
    config = build_config(options)
    made = follow(attack_files.make(config))
    rows = attack_files.export(made, out, images)
    output.line(f"{out}: {formatting.plural(len(rows), 'image')}, their index, the poisoned places and the trigger")


def show_metrics(options: RunOptions) -> None:
    """Print how strong an attack is and how visible its trigger, computed on its data set.

    Raises:
        RequestError: the attack cannot be carried out.
    """
    from engine.running import attack_files

    made = follow(attack_files.make(build_config(options)))
    attack, seen = made.config.attack, attack_files.measure(made)
    of = "the target class's images" if attack.label_rule == "clean-label" else "all training images"
    rows = [["poisoning rate", f"{100 * attack.poisoning_rate:.3g} % of {of}"]]
    if seen is None:
        rows.append(["trigger", "none"])
    else:
        rows += [
            ["PSNR", "nothing changes" if math.isinf(seen.psnr) else f"{seen.psnr:.1f} dB"],
            ["L-inf", f"{seen.linf} of 255 at most, {seen.linf_mean:.1f} on average"],
            ["SSIM", f"{seen.ssim:.4f}"],
            ["measured on", f"{formatting.plural(seen.images, 'test image')} of {made.data.name}"],
        ]
    output.show(lambda width: tables.make([made.config.preset, ""], rows))


def follow(work: Generator[Event, None, Made]) -> Made:
    """What the work comes to; its events become lines on standard error."""
    return outcome(work, PlainDisplay(RunView()).tell)
