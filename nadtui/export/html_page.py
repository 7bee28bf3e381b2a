"""The frame of an HTML document in one file: no script, nothing loaded from anywhere."""

from __future__ import annotations

import html

from nadtui.formatting import clean

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2127;
       background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #d5d8dc; text-align: right; }
th:first-child, td:first-child { text-align: left; }
dt { float: left; clear: left; width: 7rem; color: #555; } dd { margin-left: 7rem; }
pre { background: #f4f4f2; padding: 1rem; overflow: auto; font-size: .85rem; }
img { image-rendering: pixelated; max-width: 100%; }
svg { max-width: 100%; height: auto; }
.beside { display: flex; gap: 1rem; } .beside figure { flex: 1; min-width: 0; margin: 0 0 1rem; }
.caution { background: #fff4d6; border-left: 4px solid #b34700; padding: .5rem 1rem; }
footer { color: #555; font-size: .85rem; border-top: 1px solid #d5d8dc; margin-top: 2rem; }
"""


def page(title: str, body: str) -> str:
    """A whole document; `title` is text, `body` is HTML."""
    shown = text(title)
    # A page that is passed on shows what it shows, and can do nothing: whatever came in from a record, no script runs.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{shown}</title><style>{_STYLE}</style></head>\n<body>{body}</body></html>\n"
    )


def text(value: object) -> str:
    """Text that a page shows as it is."""
    return html.escape(clean(value))
