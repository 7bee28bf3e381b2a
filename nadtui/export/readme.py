"""The README's table of results: drawn from the book's rows that ship as `default`, between two comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.errors import RequestError
from nadtui.export.markdown import escape
from nadtui.runs.columns import COLUMNS
from nadtui.runs.result_rows import Row, across, families

BEGIN = "<!-- results: written by `nadtui results readme`, not by hand -->"
END = "<!-- end of results -->"

_HEAD = (
    *("data set", "preset", "attack seeds", "clean subsets", "defense", "before", "teacher", "after"),
    "highest ASR after",
)


def renewed(text: str, rows: Iterable[Row]) -> str:
    """The README's text with its table of results as the rows have it.

    Raises:
        RequestError: the two comments are not there, once each and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in before + after:
        raise RequestError(f"the lines {BEGIN!r} and {END!r} are wanted, once each: the table goes between them")
    return f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{after}"


def table(rows: Iterable[Row]) -> str:
    """The rows of status `default` as a Markdown table, one line for each preset and defense."""
    lines = [_HEAD, ("---",) * len(_HEAD)]
    last = ""
    for family in families(row for row in rows if row["status"] == "default"):
        row = across(family)
        data = row["data"] or ""
        lines.append((escape(data) if data != last else "", *_cells(row, family), _highest(family)))
        last = data
    return "\n".join("|" + "".join(f" {cell} |" if cell else " |" for cell in line) for line in lines)


def _cells(row: Row, family: Sequence[Row]) -> list[str]:
    attacks = sorted({each["attack.seed"] for each in family if each["attack.seed"] is not None})
    named = (row.shown("preset"), ", ".join(map(str, attacks)), row.shown("seeds"), row.defender)
    return [*map(escape, named), *(row.figures(stage) for stage in ("before", "teacher", "after"))]


def _highest(family: Sequence[Row]) -> str:
    """ASR that is left in the worst of the runs, where every row is of one run."""
    left = [row["asr.after"] for row in family]
    if None in left or any(row.n > 1 for row in family):
        return ""
    return COLUMNS["asr.after"].show(max(left))
