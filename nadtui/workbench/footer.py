"""Screens whose footer shows no key that can do nothing now; the help knows them all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.screen import Screen

if TYPE_CHECKING:
    from textual.screen import ActiveBinding


class FootedScreen(Screen[None]):
    """Base of screens that say in `check_action` (None) what is idle now; who changes that refreshes the bindings."""

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """As every screen's, each as the footer is to show it."""
        return {
            key: each._replace(binding=replace(told, show=told.show and each.enabled))
            for key, each in super().active_bindings.items()
            for told in [self.in_footer(each.binding)]
        }

    def in_footer(self, binding: Binding) -> Binding:
        """A key as the footer shows it while it does something."""
        return binding
