"""Plain values: what every file of ours is written in."""

import math

from engine.figures import TapHealth
from engine.plain import plain


def test_plain_turns_dataclasses_tuples_and_keys_into_what_json_has():
    tap = TapHealth(tap="group3", height=8, width=8, beta=1.0, loss=math.nan, share=0.25, gradient=2.0)
    assert plain({1: (tap, b"\x00"), "x": [math.inf, True, None]}) == {
        "1": [
            {"tap": "group3", "height": 8, "width": 8, "beta": 1.0, "loss": None, "share": 0.25, "gradient": 2.0},
            "AA==",
        ],
        "x": [None, True, None],
    }
