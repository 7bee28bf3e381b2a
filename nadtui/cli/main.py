"""The `nadtui` command: what may be typed. The work is done elsewhere, and loaded only when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import RequestError
from nadtui import diagnostics
from nadtui.cli import output
from nadtui.cli.exits import ExitCode
from nadtui.export import FORMATS

app = typer.Typer(
    name="nadtui",
    help="A terminal workbench for erasing backdoors from neural networks (Neural Attention Distillation).",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
presets_app = typer.Typer(add_completion=False)
app.add_typer(presets_app, name="presets")

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The folder of runs (default: NADTUI_RUNS, else runs)."),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, its folder, or 'latest'.")]


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", metavar="", help="Print the version and exit.")] = False,
) -> ExitCode:
    if version:
        output.line(f"nadtui {_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from nadtui.workbench.app import run_app

        run_app()
    return ExitCode.DONE


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nadtui")
    except PackageNotFoundError:
        return "(from a source tree, not installed)"


@app.command()
def run(
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the attacker did; see 'nadtui presets'.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", metavar="", help="Without the workbench.")] = False,
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME|FILE.npz|FOLDER", help="signs, cifar10, gtsrb, or your own.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Decides everything that is drawn.")] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")] = None,
    epochs: Annotated[
        list[str] | None, typer.Option(metavar="STAGE=N", help="Epochs of attack, teacher or nad; repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any field of the configuration; repeatable."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="How teacher and student are made: default, paper, thorough."),
    ] = None,
    student: Annotated[
        str | None, typer.Option(metavar="FILE", help="A backdoored model's checkpoint, instead of training one.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="FILE", help="A teacher's checkpoint, instead of fine-tuning one.")
    ] = None,
    defense: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further defense from the same backdoored model; repeatable."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A configuration, such as a run's config.yaml.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Processor threads; runs share the machine by them.")
    ] = None,
    out: Out = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped or killed.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", metavar="", help="Train the attack even where its model is cached.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", metavar="", help="The summary as one JSON document.")] = False,
) -> ExitCode:
    """Train a backdoored model, its teacher and a student with the backdoor erased."""
    from nadtui.runs.request import RunOptions, build_request, check_given

    options = RunOptions(
        preset=preset,
        dataset=dataset,
        seed=seed,
        device=device,
        epochs=tuple(epochs or ()),
        settings=tuple(settings or ()),
        recipe=recipe,
        student=student,
        teacher=teacher,
        defenses=tuple(defense or ()),
        config=config,
        threads=threads,
        out=out,
        resume=resume,
        cache=not no_cache,
    )
    check_given(options)
    request = build_request(options)
    if not headless:
        if json:
            raise RequestError("--json needs --headless: the workbench has the terminal")
        from nadtui.workbench.app import run_app

        run_app(request, out=request.out)
        return ExitCode.DONE
    from nadtui.cli.headless import run_request

    return run_request(request, json=json)


@presets_app.callback(invoke_without_command=True)
def presets(context: typer.Context) -> None:
    """The attacks that are ready to run."""
    if context.invoked_subcommand is None:
        from nadtui.cli.presets import list_all

        list_all()


@presets_app.command("show")
def presets_show(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    dataset: Annotated[str | None, typer.Option(metavar="NAME|FILE.npz|FOLDER", help="The data set it meets.")] = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME|FILE", help="The recipe of its defender.")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Write the trigger's picture.")] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", metavar="", help="Compute its strength and its trigger's visibility.")
    ] = False,
) -> None:
    """A preset's trigger, drawn, and its whole configuration, as 'run --config' takes it."""
    from nadtui.cli.presets import show_one

    show_one(name, dataset, recipe, png=png, metrics=metrics)


@app.command()
def attack(
    preset: Annotated[str, typer.Option(metavar="NAME", help="What the attacker did; see 'nadtui presets'.")],
    folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new or empty folder.")],
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME|FILE.npz|FOLDER", help="signs, cifar10, gtsrb, or your own.")
    ] = None,
    images: Annotated[
        int, typer.Option("--export-images", metavar="N", min=0, help="Images of each kind to write.")
    ] = 16,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Decides everything that is drawn.")] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any field of the configuration; repeatable."),
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Processor threads.")] = None,
) -> None:
    """An attack alone: its trigger, the poisoned places, and poisoned images beside clean ones, as files."""
    from nadtui.cli.attack import export_attack
    from nadtui.runs.request import RunOptions

    options = RunOptions(
        preset=preset, dataset=dataset, seed=seed, device=device, settings=tuple(settings or ()), threads=threads
    )
    export_attack(options, folder, images)


@app.command()
def runs(out: Out = None) -> None:
    """All runs, newest first."""
    from nadtui.cli.runs import list_runs

    list_runs(out)


@app.command()
def watch(run: Run, out: Out = None) -> None:
    """The workbench on a run that another process carries out, or that is done."""
    from engine.record.store import find_run
    from engine.storage.paths import runs_dir
    from nadtui.workbench.app import run_app

    root = out or runs_dir()
    run_app(find_run(root, run), out=root)


@app.command()
def show(run: Run, out: Out = None) -> None:
    """One run: what it was, its figures, how it ended."""
    from nadtui.cli.show import show_run

    show_run(run, out)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="Ids, their beginnings, or folders.")],
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="md|csv|json|tex|html", help="As one table in this format."),
    ] = None,
    file: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Instead of stdout.")] = None,
    out: Out = None,
) -> None:
    """Runs side by side: figures with differences, and the fields in which they differ."""
    from nadtui.cli.compare import compare_runs

    compare_runs(runs, out, form, file)


@app.command()
def export(
    run: Run,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="|".join(FORMATS), help="Left out: by FILE's ending, else md."),
    ] = None,
    file: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Instead of stdout.")] = None,
    out: Out = None,
) -> None:
    """A run as a document for others."""
    from nadtui.cli.export import export_run

    export_run(run, form, file, out)


@app.command()
def bench(
    seconds: Annotated[float, typer.Option(metavar="S", min=1, help="How long to measure in all.")] = 60.0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")] = "auto",
) -> None:
    """Images a second of each hot path on this machine."""
    from nadtui.cli.bench import show_bench

    show_bench(seconds, device)


def dispatch(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit code; whatever a person got wrong becomes one line."""
    command = typer.main.get_command(app)
    try:
        code = command(list(arguments), prog_name="nadtui", standalone_mode=False)
    except RequestError as error:
        diagnostics.error(error)
        return ExitCode.WRONG_REQUEST
    except output.ReaderGoneError:
        # Nothing may be flushed into the pipe any more, at the interpreter's end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except _UsageProblem as error:
        diagnostics.error(f"{_usage(error)} (see nadtui --help)")
        return ExitCode.WRONG_REQUEST
    return int(code or 0)


# typer brings the command line library's exceptions along without naming their base.
_UsageProblem: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _usage(problem: Exception) -> str:
    return " ".join(str(problem.format_message()).split()).rstrip(".")


def main() -> None:
    """Entry point of the `nadtui` command."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal that cannot show a letter is no reason to fail
    sys.exit(dispatch(sys.argv[1:]))
