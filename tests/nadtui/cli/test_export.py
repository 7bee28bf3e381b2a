"""`nadtui export`: to a file, or to a pipe."""

from pathlib import Path

import pytest

from engine.errors import RequestError
from nadtui.cli.export import export
from nadtui.export.formats import of_run
from nadtui.runs.digest import Report


def test_a_file_is_written_whole_in_the_format_of_its_ending(
    tmp_path: Path, report: Report, capsys: pytest.CaptureFixture[str]
):
    target = tmp_path / "made" / "run.csv"
    export(str(report.folder), None, target, None)
    assert target.read_bytes().decode() == of_run(report, "csv")
    assert [entry.name for entry in target.parent.iterdir()] == ["run.csv"]
    out, err = capsys.readouterr()
    assert out == "" and f"written: {target}" in err


def test_what_cannot_be_written_is_refused(tmp_path: Path, report: Report):
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot write"):
        export(str(report.folder), "md", tmp_path / "file" / "run.md", None)


def test_a_document_for_a_pipe_is_the_whole_output(report: Report, capsys: pytest.CaptureFixture[str]):
    export(str(report.folder), "csv", None, None)
    assert capsys.readouterr().out.replace("\r\n", "\n") == of_run(report, "csv").replace("\r\n", "\n")


@pytest.mark.parametrize("form", ["md", "json", "csv", "tex", "html", "png"])
def test_every_format_is_written_to_a_file(sig_report, tmp_path, form):
    file = tmp_path / f"run.{form}"
    export(str(sig_report.folder), None, file, None)
    assert file.stat().st_size > 200


def test_a_picture_is_not_poured_into_a_terminal(sig_report):
    with pytest.raises(RequestError, match="-o"):
        export(str(sig_report.folder), "png", None, None)
