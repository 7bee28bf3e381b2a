"""`nadtui inspect`: what a checkpoint holds, without running it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.places import expanded
from nadtui import formatting
from nadtui.cli import output
from nadtui.cli.options import Json

if TYPE_CHECKING:
    from engine.inspection.report import Inspection


def inspect(
    file: Annotated[Path, typer.Argument(parser=expanded, metavar="FILE", help="A checkpoint, of any ending.")],
    json: Json = False,
) -> None:
    """What a checkpoint holds: its tensors, the network they look like, its preprocessing. Nothing in it is run."""
    from engine.inspection import report
    from nadtui.cli import tables

    found = report.inspect(file)
    if json:
        output.json_document(found.to_dict())
        return
    for name, value in _facts(found):
        output.line(f"{name:<14}{value}")
    output.line()
    rows = [
        [name, "x".join(map(str, each.shape)) or "-", each.dtype, "" if each.layout == "dense" else each.layout]
        for name, each in found.tensors.items()
    ]
    output.show(lambda width: tables.make(["tensor", "shape", "type", ""], rows))


def _facts(found: Inspection) -> Iterator[tuple[str, str]]:
    from engine.models.bounded import is_bound
    from engine.models.preprocessing import Preprocessing
    from engine.storage.state_dicts.fitting import listed, shown
    from engine.storage.state_dicts.normalization import no_normalization

    contents, first, normal = found.contents, found.mappings[0], found.preprocessing
    yield "file", f"{contents.path}: {contents.form}, {formatting.count(contents.size)} bytes"
    yield "state dict", f"{first.where}{', a whole model saved as an object' if first.module else ''}"
    for each in found.mappings[1:]:
        yield "also there", f"{each.where}, {formatting.plural(len(each.tensors), 'tensor')}"
    if found.prefix:
        yield "prefix", found.prefix
    yield "tensors", f"{len(found.tensors)}, {formatting.count(found.parameters)} values"
    yield "network", found.network.said() if found.network is not None else "none that is known here"
    if found.flaws.differs:
        yield "differs", listed(list(found.flaws.differs))
    if found.flaws.beside:
        yield "no place for", listed([shown(name) for name in found.flaws.beside])
    if found.flaws.values:
        yield "values", listed([f"{shown(name)}: {said}" for name, said in found.flaws.values.items()])
    if bounds := sum(map(is_bound, found.tensors)):
        yield "bounds", f"on the activations of {formatting.plural(bounds, 'norm')}, as UNIT leaves them"
    yield "classes", str(found.classes or "cannot be told")
    if normal is not None:
        said = Preprocessing(normal.mean, normal.std).said()
        yield "preprocessing", f"{said}, by {normal.mean_name} and {normal.std_name}"
    elif found.no_preprocessing is not None:
        yield "preprocessing", no_normalization(*map(shown, found.no_preprocessing))
    else:
        yield "preprocessing", "none in the file: the images go in as they are, unless model.mean says otherwise"
    if first.others:
        yield "left out", ", ".join(f"{name} ({kind})" for name, kind in list(first.others.items())[:20])
    if contents.stubs:
        names = [f"{name} ({count}x)" if count > 1 else name for name, count in contents.stubs.most_common(20)]
        yield "not run", ", ".join(names)
