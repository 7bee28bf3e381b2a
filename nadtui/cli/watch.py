"""`nadtui watch`: the workbench on one run, or on a sweep."""

from __future__ import annotations

from engine.places import expanded
from nadtui.cli.exits import ExitCode, of_workbench
from nadtui.cli.options import Out, Run


def watch(run: Run, out: Out = None) -> ExitCode:
    """The workbench on a run, or a sweep's folder, that another process carries out, or that is done."""
    from engine.record.listing import find_run
    from engine.storage.paths import runs_dir
    from nadtui.runs.sweep_folders import is_sweep
    from nadtui.workbench.app import run_app

    if is_sweep(expanded(run)):
        return of_workbench(left=run_app(expanded(run)))
    root = out or runs_dir()
    return of_workbench(left=run_app(find_run(root, run), out=root))
