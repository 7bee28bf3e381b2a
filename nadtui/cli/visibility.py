"""How strong an attack is and how visible its trigger, as a table."""

from __future__ import annotations

import math

from nadtui import formatting
from nadtui.cli import output, tables
from nadtui.cli.plain_display import tell_of
from nadtui.runs.request import RunOptions, build_config


def show_metrics(options: RunOptions) -> None:
    """Print what is computed of an attack on its data set.

    Raises:
        RequestError: the attack cannot be carried out.
    """
    from engine.running import attack_files

    made = tell_of(attack_files.make(build_config(options)))
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
