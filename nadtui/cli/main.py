"""The `nadtui` command: its subcommands, one file each, and what becomes of a command line that is wrong.

Each loads what it works with when it is called: help, listings and the first paint wait for nothing else.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from engine.errors import RequestError
from nadtui import diagnostics
from nadtui.cli import (
    attack,
    bench,
    check,
    compare,
    defenses,
    export,
    inspect,
    models,
    output,
    presets,
    reproduce,
    results,
    run,
    runs,
    show,
    studies,
    sweep,
    watch,
    zoo,
)
from nadtui.cli.exits import ExitCode, of_workbench

app = typer.Typer(
    name="nadtui",
    help="A terminal workbench for erasing backdoors from neural networks (Neural Attention Distillation).",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    run.run,
    attack.attack,
    runs.runs,
    watch.watch,
    show.show,
    compare.compare,
    export.export,
    inspect.inspect,
    check.check,
    bench.bench,
    reproduce.reproduce,
):
    app.command()(command)
app.add_typer(presets.app, name="presets")
app.add_typer(defenses.app, name="defenses")
app.add_typer(models.app, name="models")
app.add_typer(zoo.app, name="zoo")
app.add_typer(sweep.app, name="sweep")
app.add_typer(studies.app, name="studies")
app.add_typer(results.app, name="results")


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", metavar="", help="Print the version and exit.")] = False,
) -> ExitCode:
    if version:
        output.line(f"nadtui {_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from nadtui.workbench import garbage

        garbage.wait()
        from nadtui.workbench.app import run_app

        return of_workbench(left=run_app())
    return ExitCode.DONE


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nadtui")
    except PackageNotFoundError:
        return "(from a source tree, not installed)"


def dispatch(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit code; whatever a person got wrong becomes one line."""
    command = typer.main.get_command(app)
    _keep_output(command)
    try:
        code = command(list(arguments), prog_name="nadtui", standalone_mode=False)
    except RequestError as error:
        diagnostics.error(error)
        return ExitCode.WRONG_REQUEST
    except (output.ReaderGoneError, BrokenPipeError):
        return ExitCode.DONE
    except output.UnwritableError as error:
        diagnostics.error(error)
        return ExitCode.FAILED
    except OSError as error:  # of the command line's own help, or of a file that nobody has looked at before
        where = f"{error.filename}: " if error.filename else ""
        diagnostics.error(f"{where}{error.strerror or error}")
        return ExitCode.WRONG_REQUEST if error.filename else ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except _UsageProblem as error:
        diagnostics.error(f"{_usage(error)} (see {_where(error)} --help)")
        return ExitCode.WRONG_REQUEST
    return int(code or 0)


# typer brings the command line library's exceptions along without naming their base.
_UsageProblem: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _usage(problem: Exception) -> str:
    return " ".join(str(problem.format_message()).split()).rstrip(".")


def _where(problem: Exception) -> str:
    """The command that was typed wrong."""
    context = getattr(problem, "ctx", None)
    return "nadtui" if context is None else context.command_path


def _keep_output(command: Any) -> None:
    """Have each command keep standard output for its results; the command line's own help is printed before."""
    if command.callback is not None:
        command.callback = output.kept()(command.callback)
    for each in getattr(command, "commands", {}).values():
        _keep_output(each)


def main() -> None:
    """Entry point of the `nadtui` command."""
    _occupy_closed_streams()
    output.take_over()
    diagnostics.take_over()
    code = dispatch(sys.argv[1:])
    output.end()
    # Else the collector looks through all that torch has loaded once more, and the shell waits a second for it.
    gc.freeze()
    sys.exit(code)


def _occupy_closed_streams() -> None:
    """Take the numbers of streams that were closed (`>&-`), or the next file opened, a run's record say, has one.

    Whatever library then writes to it would write into that file.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123  (for as long as the process lives)
