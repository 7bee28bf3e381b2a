"""The workbench's own themes, in colors that people with a color vision deficiency tell apart."""

from textual.theme import Theme

DARK = Theme(
    name="nadtui-dark",
    primary="#56b4e9",
    secondary="#2fbf95",
    accent="#ee8d33",
    warning="#f0e442",
    error="#ff6b4a",
    success="#2fbf95",
    foreground="#d8dee6",
    background="#0f1216",
    surface="#161b21",
    panel="#1f262e",
    dark=True,
)
LIGHT = Theme(
    name="nadtui-light",
    primary="#0072b2",
    secondary="#00775a",
    accent="#b34700",
    warning="#7a6c00",
    error="#b3261e",
    success="#00775a",
    foreground="#1c2127",
    background="#fbfbfa",
    surface="#f1f1ef",
    panel="#e3e5e8",
    dark=False,
)
