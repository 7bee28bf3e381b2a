"""The README's table of results: drawn from the book's rows that ship as `default`, between two comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.errors import RequestError
from nadtui.export.markdown import escape
from nadtui.runs.columns import COLUMNS
from nadtui.runs.result_rows import Row, groups, merged

BEGIN = "<!-- results: written by `nadtui results readme`, not by hand -->"
END = "<!-- end of results -->"

_HEAD = (
    *("data set", "preset", "attack seed", "clean subsets", "defense", "before", "teacher", "after"),
    *("seconds, all stages", "seconds, attack alone"),
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
    """The rows of status `default` as a Markdown table, one line for each suspect and defense."""
    lines = [_HEAD, ("---",) * len(_HEAD)]
    last = ""
    for group in groups(row for row in rows if row["status"] == "default"):
        row = merged(group)
        data = row["data"] or ""
        lines.append((escape(data) if data != last else "", *_cells(row), *_times(group)))
        last = data
    return "\n".join("|" + "".join(f" {cell} |" if cell else " |" for cell in line) for line in lines)


def _cells(row: Row) -> list[str]:
    named = (row.shown("preset"), row.shown("attack.seed"), row.shown("seeds"), row.defender)
    return [*map(escape, named), *(row.figures(stage) for stage in ("before", "teacher", "after"))]


def _times(group: Sequence[Row]) -> list[str]:
    """From the quickest of the runs to the slowest."""
    times = []
    for name in ("seconds", "seconds.attack"):
        known = [row[name] for row in group if row[name] is not None]
        ends = [COLUMNS[name].show(value) for value in (min(known), max(known))] if known else []
        times.append(" to ".join(dict.fromkeys(ends)))
    return times
