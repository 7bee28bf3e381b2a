"""The command line: what may be typed, what a person's mistakes look like, and what is never loaded."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from engine.errors import RequestError
from engine.events import Event, RunFailed, RunStopped
from nadtui.cli import headless, output
from nadtui.cli.main import dispatch
from nadtui.runs.request import RunOptions, build_config, build_request
from tests.scripted_run import START, record, run_started, stage, timed, whole_run

ROOT = Path(__file__).parents[3]
FRONT_ENDS = {"nadtui", "textual", "rich", "typer", "plotext"}


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs of the test's own; a person's presets are kept out."""
    monkeypatch.setenv("NADTUI_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path / "presets"))
    return tmp_path / "runs"


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = dispatch([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line with which a wrong request ends."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    return err


# --- what is loaded ---


LIGHT = [
    *(["--help"], ["run", "--help"], ["presets"], ["presets", "show", "sig"], ["runs"]),
    *(["results"], ["results", "cifar10", "refool"], ["results", "sig", "--json"], ["results", "readme", "--check"]),
    *(
        ["defenses"],
        ["defenses", "show", "nad"],
        ["models", "--json"],
        ["models", "show", "wrn-16-1"],
        ["check", "--help"],
    ),
    *(["sweep", "--help"], ["sweep", "--preset", "all", "--seeds", "0-4", "--out", "no-such-folder", "--dry-run"]),
    *(["zoo"], ["zoo", "--json"], ["zoo", "show", "sig-signs-0"], ["zoo", "measure", "--help"]),
]
TORCH_FREE = (
    "config.run config.presets control errors events record.folder record.listing record.view running.job "
    "running.processor_queue settings storage.paths sweeps.conducting sweeps.crews sweeps.reasons sweeps.rows"
)


@pytest.mark.parametrize("arguments", LIGHT)
def test_light_commands_load_no_torch(arguments: list[str]):
    script = (
        "import sys; from nadtui.cli.main import dispatch; code = dispatch(sys.argv[1:]);"
        "heavy = {'torch', 'torchvision', 'numpy', 'textual', 'plotext'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_engine_loads_neither_torch_nor_a_front_end_before_a_job_starts():
    modules = ", ".join(f"engine.{name}" for name in TORCH_FREE.split())
    script = (
        f"import sys; import {modules}; wrong = ({FRONT_ENDS | {'torch', 'torchvision'}!r}) & set(sys.modules);"
        "sys.exit(str(wrong) if wrong else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_file_of_the_engine_imports_a_front_end():
    wrong = [
        f"{file}: {name}"
        for file in sorted((ROOT / "engine").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        for name in imported(node)
        if name.partition(".")[0] in FRONT_ENDS
    ]
    assert wrong == []


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


# --- wrong requests ---


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], "--headless"),
        (["run"], "--preset (adaptive, badnets, "),
        (["run", "--preset", "sig"], "needs a terminal"),
        (["run", "--preset", "sgi", "--headless"], "did you mean 'sig'"),
        (
            ["run", "--preset", "sig", "--headless", "--set", "defenses.nad.distill.betta=[1,2,3]"],
            "did you mean defenses.nad.distill.beta",
        ),
        (
            ["run", "--preset", "sig", "--headless", "--set", "distill.beta=[1,2,3]"],
            "'distill.beta' is now 'defenses.nad.distill.beta'",
        ),
        (["run", "--preset", "sig", "--headless", "--set", "defenses.nad.distill.beta"], "FIELD=VALUE is wanted"),
        (["run", "--preset", "sig", "--headless", "--set", "data.clean_fraction=2"], "data.clean_fraction"),
        (["run", "--preset", "sig", "--headless", "--set", "training.lr=-1"], "training.lr"),
        (["run", "--preset", "sig", "--headless", "--seed", "-1"], "seed"),
        (["run", "--preset", "sig", "--headless", "--seed", "many"], "--seed"),
        (["run", "--preset", "sig", "--headless", "--device", "tpu"], "device"),
        (["run", "--preset", "sig", "--headless", "--dataset", "cifar11"], "did you mean cifar10"),
        (["run", "--preset", "sig", "--headless", "--dataset", "no/such/folder"], "no such file or folder"),
        (["run", "--preset", "sig", "--headless", "--recipe", "defualt"], "did you mean 'default'"),
        (["run", "--preset", "sig", "--headless", "--defense", "fine-tunning"], "did you mean 'fine-tuning'"),
        (["run", "--preset", "sig", "--headless", "--suspect", "none.pt"], "--suspect none.pt: no such file"),
        (
            ["run", "--preset", "sig", "--headless", "--suspect", "zoo", "--set", "attack.seed=7"],
            "no suspect 'sig-signs-7'",
        ),
        (["run", "--headless", "--suspect", "zoo:sig-signs-0"], "sig-signs-0 of the zoo comes with its attack"),
        (
            ["run", "--preset", "sig", "--headless", "--student", "none.pt"],
            "--student none.pt: is now --suspect none.pt",
        ),
        (["run", "--preset", "sig", "--headless", "--teacher", "."], "--teacher .: a folder, not a file"),
        (["run", "--preset", "sig", "--headless", "--config", "none.yaml"], "none.yaml"),
        (["run", "--preset", "sig", "--headless", "--epochs", "8"], "attack=N, teacher=N, nad=N"),
        (["run", "--preset", "sig", "--headless", "--epochs", "student=8"], "attack=N, teacher=N, nad=N"),
        (["run", "--preset", "sig", "--headless", "--epochs", "nad=0"], "defenses.nad.distill.training.epochs"),
        (["run", "--preset", "sig", "--headless", "--epochs", "nad=" + "9" * 5_000], "STAGE=N is wanted"),
        (["run", "--headless", "--resume", "latest"], "no run 'latest'"),
        (["run", "--headless", "--resume", "x", "--seed", "1"], "leave out --seed"),
        (["run", "--presett", "sig"], "--preset"),
        (["presets", "show", "badnet"], "did you mean 'badnets'"),
        (["presets", "show"], "NAME"),
        (["show", "nothing"], "no run 'nothing'"),
        (["compare", "only-one"], "2 to 6 runs"),
        (["compare", "--wide"], "No such option: --wide (see nadtui compare --help)"),
        (["presets", "show", "sig", "--jason"], "(see nadtui presets show --help)"),
        (["--jason"], "(see nadtui --help)"),
        (["export", "latest", "--format", "docx"], "allowed: md, json, csv"),
        (["exprot"], "exprot"),
        (["bench", "--seconds", "0"], "--seconds"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], runs: Path, arguments: list[str], wanted: str
):
    assert wanted in refused(capsys, *arguments)
    assert not runs.exists()


def test_a_line_end_in_an_argument_does_not_break_the_line(capsys: pytest.CaptureFixture[str]):
    assert r"s\ngi\x1b[2J" in refused(capsys, "run", "--preset", "s\ngi\x1b[2J", "--headless")


# --- what options mean ---


def test_options_become_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("suspect.pt", "teacher.pt"):
        (tmp_path / name).touch()
    config = build_config(
        RunOptions(
            preset="badnets",
            seed=3,
            device="cpu",
            threads=1,
            epochs=["attack=8", "fine-tuning=9", "nad=10"],
            settings=["defenses.nad.distill.beta=[1, 2, 3]", "attack.seed=0", "seed=4"],
            suspect="suspect.pt",
            teacher="teacher.pt",
            defenses=["fine-tuning,nad"],
        )
    )
    assert config.training.epochs == 8
    nad = config.defenses["nad"]
    assert config.defenses["fine-tuning"].training.epochs == 9
    assert nad.distill.training.epochs == 10
    assert (nad.distill.beta, config.attack.seed, config.device, config.threads) == ((1.0, 2.0, 3.0), 0, "cpu", 1)
    assert config.seed == 4  # --set, the most particular, wins
    assert (config.suspect, nad.teacher.file) == (str(tmp_path / "suspect.pt"), str(tmp_path / "teacher.pt"))
    assert list(config.defenses) == ["fine-tuning", "nad"]


def test_a_teacher_that_is_there_has_no_epochs():
    options = RunOptions(preset="badnets", teacher="zoo:clean-signs-0", epochs=["teacher=9"])
    with pytest.raises(RequestError, match="--epochs teacher=9: STAGE=N is wanted, one of attack=N, nad=N"):
        build_config(options)


def test_a_data_sets_path_is_kept_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert build_config(RunOptions(preset="sig", dataset="mine")).data.name == str(tmp_path / "mine")
    assert build_config(RunOptions(preset="sig", dataset="signs")).data.name == "signs"


def test_out_and_no_cache_reach_the_job(tmp_path: Path):
    request = build_request(RunOptions(preset="sig", out=tmp_path / "elsewhere", cache=False))
    assert (request.out, request.resume, request.cache) == (tmp_path / "elsewhere", None, False)


def test_resuming_takes_the_runs_own_configuration(runs: Path):
    script = timed([run_started(), RunStopped(stage="attack", epoch=1)])
    path = record(runs, script, config=build_config(RunOptions(preset="sig", seed=7)))
    request = build_request(RunOptions(resume="latest"))
    assert (request.resume, request.config.seed, request.config.preset) == (path, 7, "sig")


def test_run_hands_its_job_to_the_headless_view(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    given = {}

    def remember(request, *, json, sort):
        given.update(seed=request.config.seed, json=json, sort=sort)
        return 1

    monkeypatch.setattr(headless, "run_request", remember)
    assert run(capsys, "run", "--preset", "sig", "--headless", "--seed", "5", "--json") == (1, "", "")
    assert given == {"seed": 5, "json": True, "sort": "run"}


# --- presets and runs ---


def test_presets_lists_name_title_kind_and_source(capsys: pytest.CaptureFixture[str]):
    code, out, err = run(capsys, "presets")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["name", "title", "kind", "source"]
    by_name = {line.split()[0]: line for line in lines[1:]}
    assert len(by_name) == len(lines) - 1
    assert {"badnets", "blend", "clean", "sig"} <= set(by_name)
    assert "clean label" in by_name["sig"] and "1902.11237" in by_name["sig"]


def test_presets_show_prints_a_configuration_that_run_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    code, out, _ = run(capsys, "presets", "show", "sig", "--dataset", "cifar10")
    assert code == 0 and out.startswith("# ")
    (tmp_path / "shown.yaml").write_text(out)
    again = build_config(RunOptions(config=tmp_path / "shown.yaml"))
    assert again == build_config(RunOptions(preset="sig", dataset="cifar10"))
    assert yaml.safe_load(out)["data"]["name"] == "cifar10"


def test_runs_lists_every_state(capsys: pytest.CaptureFixture[str], runs: Path):
    record(runs, whole_run(), summary=True)
    record(runs, timed([run_started(), *stage("attack", [(97.0, 100.0)])]), seed=1)
    record(runs, timed([run_started(), RunStopped(stage="attack", epoch=0)]), seed=2)
    code, out, _ = run(capsys, "runs")
    assert code == 0
    lines = {line.split()[0][-2:]: line for line in out.splitlines()[1:]}
    assert "finished" in lines["s0"] and "97.0 → 96.5" in lines["s0"] and "100.0 → 1.0" in lines["s0"]
    assert "crashed in attack" in lines["s1"] and "97.0 → –" in lines["s1"]
    assert "stopped" in lines["s2"]
    assert all(line == line.rstrip() for line in out.splitlines())


@pytest.mark.parametrize("width", [60, 72, 80, 100, 160])
@pytest.mark.parametrize("last", [[RunStopped(stage="a-teacher-of-a-long-name", epoch=0)], []])
def test_runs_name_a_run_whole_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], runs: Path, monkeypatch: pytest.MonkeyPatch, width: int, last: list[Event]
):
    path = record(runs, timed([run_started(), *last]) if last else whole_run(), summary=not last)
    path = path.rename(path.with_name("20261128-185148-badnets-all2all-cifar10-s0"))
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = run(capsys, "runs")
    (line,) = out.splitlines()[1:]
    assert line.split()[0] == path.name and len(line) <= width
    assert "100.0 → 1.0" in line or last or width < 72


def test_runs_and_show_are_documents(capsys: pytest.CaptureFixture[str], runs: Path):
    path = record(runs, whole_run(), summary=True)
    assert dispatch(["runs", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["state"], listed["verdict"]) == (path.name, "finished", "erased")
    assert dispatch(["show", "--json", path.name]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["run"], shown["folder"]) == (path.name, str(path))
    (purified,) = [stage for stage in shown["stages"] if stage["role"] == "purified"]
    assert purified["verdict"]["line"].startswith("erased: ASR +")


def test_no_runs_are_no_mistake(capsys: pytest.CaptureFixture[str], runs: Path):
    assert run(capsys, "runs") == (0, "", f"no runs in {runs}\n")


def test_show_tells_what_a_run_was_and_how_it_ended(capsys: pytest.CaptureFixture[str], runs: Path):
    script = [e for e in whole_run() if e.time < START + 25]
    failed = RunFailed(seq=99, time=START + 30, stage="teacher", message="loss is not finite")
    path = record(runs, [*script, failed])
    code, out, err = run(capsys, "show", path)
    assert code == 0
    for wanted in (path.name, "state    failed", "target class 0", "175,066 parameters", "97.0"):
        assert wanted in out
    assert "failed in teacher: loss is not finite" in out
    assert f"record: {path}" in err


def test_show_says_how_to_go_on(capsys: pytest.CaptureFixture[str], runs: Path):
    path = record(runs, timed([run_started(), RunStopped(stage="attack", epoch=0)]))
    _, out, _ = run(capsys, "show", "latest")
    assert "no figures yet" in out and f"nadtui run --resume {path.name} --headless" in out


def test_damage_is_told_and_survived(capsys: pytest.CaptureFixture[str], runs: Path):
    path = record(runs, whole_run(), summary=True)
    lines = (path / "events.jsonl").read_text().splitlines()
    lines[3] = "{torn"
    (path / "events.jsonl").write_text("\n".join(lines) + "\n")
    _, out, _ = run(capsys, "show", path)
    assert "1 line of the record cannot be read" in out and "96.5" in out
    (path / "events.jsonl").write_text("")
    assert "its record is empty" in refused(capsys, "show", path)


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"run-started","run":[],"config":7,"environment":"x","dataset":null,"model":1,"stages":["attack"]}',
        '{"kind":"stage-started","stage":"attack","epochs":"many","steps":null}',
        '{"kind":"step","stage":"attack","epoch":{},"step":"x","loss":1,"parts":[],"lr":0,"images_per_second":1}',
        '{"kind":"message","text":7,"time":1e300}',
        '{"kind":"run-resumed","stage":"attack","epoch":"x","time":null}',
    ],
)
@pytest.mark.parametrize("command", [["show"], ["export", "--format", "json"], ["export", "--format", "md"]])
def test_a_record_of_nonsense_is_no_traceback(
    capsys: pytest.CaptureFixture[str], runs: Path, line: str, command: list[str]
):
    path = record(runs, whole_run())
    with (path / "events.jsonl").open("a") as file:
        file.write(line + "\n")
    code, _, err = run(capsys, command[0], path, *command[1:])
    assert code in (0, 2) and "Traceback" not in err


def test_compare_shows_figures_differences_and_fields(capsys: pytest.CaptureFixture[str], runs: Path):
    first = record(runs, whole_run(), summary=True, config=build_config(RunOptions(preset="sig")))
    other = timed([run_started(), *stage("attack", [(95.0, 90.0)])])
    second = record(runs, other, config=build_config(RunOptions(preset="sig", settings=["training.lr=0.1", "seed=1"])))
    code, out, _ = run(capsys, "compare", first, second)
    assert code == 0
    rows = [line.split() for line in out.splitlines() if line]
    assert ["attack", "ACC", "97.0", "95.0", "(-2.0)"] in rows
    assert ["ASR", "100.0", "90.0", "(-10.0)"] in rows
    assert ["nad", "ACC", "96.5", "–"] in rows
    assert ["training.lr", "0.3", "0.1"] in rows and ["seed", "0", "1"] in rows
    assert not any(row[0] == "training.epochs" for row in rows)
    assert "(crashed)" in out


def test_compare_as_json_has_figures_spread_and_fields_of_all_runs(capsys: pytest.CaptureFixture[str], runs: Path):
    first = record(runs, whole_run(), summary=True, config=build_config(RunOptions(preset="sig")))
    second = record(runs, whole_run(), summary=True, config=build_config(RunOptions(preset="sig", settings=["seed=1"])))
    code, out, _ = run(capsys, "compare", first, second, "--json")
    found = json.loads(out)
    assert code == 0 and [each["folder"] for each in found["runs"]] == [str(first), str(second)]
    nad = next(each for each in found["stages"] if each["stage"] == "nad")
    assert (nad["role"], nad["defense"], nad["acc"]) == ("purified", "nad", [96.5, 96.5]) and len(nad["verdict"]) == 2
    (group,) = found["groups"]
    spread = next(each for each in group["stages"] if each["stage"] == "nad")
    assert group["runs"] == [each["run"] for each in found["runs"]]
    assert spread["acc"] == {"mean": 96.5, "std": 0.0, "n": 2}
    assert found["fields"] == [{"field": "seed", "values": [0, 1]}]
    code, _, err = run(capsys, "compare", first, second, "--json", "--format", "md")
    assert code == 2 and err.startswith("error: --json") and len(err.splitlines()) == 1


def test_a_run_compared_with_itself_differs_in_nothing(capsys: pytest.CaptureFixture[str], runs: Path):
    path = record(runs, whole_run(), summary=True)
    _, out, _ = run(capsys, "compare", path, path)
    assert "the configurations are the same" in out and "(+0.0)" in out


# --- streams and ends ---


def nadtui(*arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nadtui", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_the_real_command_exits_2_without_a_traceback():
    process = nadtui("run", "--preset", "sgi", "--headless")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1


def test_a_reader_that_has_enough_is_no_failure(runs: Path):
    record(runs, whole_run(), summary=True)
    process = nadtui("export", "latest", "--format", "json", env={**os.environ, "NADTUI_RUNS": str(runs)})
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=300) == 0


def test_a_terminal_without_unicode_is_no_failure(runs: Path):
    record(runs, whole_run(), summary=True)
    environment = {**os.environ, "NADTUI_RUNS": str(runs), "PYTHONIOENCODING": "ascii"}
    process = nadtui("runs", env=environment)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert "97.0 ? 96.5" in out


def test_json_stays_json_for_any_text(capsys: pytest.CaptureFixture[str], runs: Path):
    path = record(runs, whole_run(), summary=True)
    code, out, err = run(capsys, "export", path, "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["status"] == "finished"


def test_ctrl_c_of_any_command_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def interrupted(out: Path | None) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr("engine.record.listing.list_runs", interrupted)
    # A shell's background jobs ignore the signal, and so would the tests among them.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run(capsys, "runs")[0] == 130
    finally:
        signal.signal(signal.SIGINT, former)
