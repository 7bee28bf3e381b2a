"""Figures that nobody measured."""

from __future__ import annotations

from engine import events as ev

PERFECT = ev.Metrics(
    images=120,
    eligible=90,
    acc=100.0,
    asr=0.0,
    ra=100.0,
    base=0.0,
    acc_ci=(97.0, 100.0),
    asr_ci=(0.0, 4.0),
    ra_ci=(96.0, 100.0),
    base_ci=(0.0, 4.0),
)
