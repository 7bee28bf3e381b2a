"""Each finished model's answers are in the run folder, and what it has over those before it is in the record."""

from __future__ import annotations

import pytest
import torch

from engine.errors import RequestError
from engine.evaluation import metrics
from engine.evaluation.metrics import Answers
from engine.record.layout import answers_file
from engine.running.kept_answers import keep_answers, recalled_answers
from engine.storage.checkpoints import load_weights
from tests.tiny import finished, run_all, runs_in, tiny_config


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


def test_what_each_model_has_over_those_it_stands_on(tmp_path):
    stages = finished(run_all(tiny_config(), tmp_path))
    assert stages["attack"].changes == ()
    assert [each.than for each in stages["teacher"].changes] == ["attack"]
    assert [each.than for each in stages["nad"].changes] == ["attack", "teacher"]
    for name in ("teacher", "nad"):
        for each in stages[name].changes:
            after, before = stages[name].metrics, stages[each.than].metrics
            assert each.acc == pytest.approx(after.acc - before.acc)
            assert each.asr == pytest.approx(after.asr - before.asr)
            assert each.acc_ci[0] <= each.acc <= each.acc_ci[1]
    kept, _ = load_weights(answers_file(runs_in(tmp_path)[0], "nad"))
    right = (kept["clean"] == kept["labels"]).float().mean()
    assert 100 * float(right) == pytest.approx(stages["nad"].metrics.acc, abs=1e-4)
    sent = (kept["triggered"] == kept["wanted"]).float().mean()
    assert 100 * float(sent) == pytest.approx(stages["nad"].metrics.asr, abs=1e-4)
    assert len(kept["triggered"]) == len(kept["eligible"]) == stages["nad"].metrics.eligible


def test_without_an_attack_there_is_no_asr_to_compare(tmp_path):
    stages = finished(run_all(tiny_config("clean"), tmp_path))
    change = stages["nad"].changes[1]
    assert change.asr != change.asr
    assert change.acc == pytest.approx(stages["nad"].metrics.acc - stages["teacher"].metrics.acc)


def test_answers_that_are_not_there_or_of_other_images_are_none(tmp_path):
    labels = torch.tensor([0, 1])
    test = metrics.TestImages(torch.empty(2), labels, torch.tensor([1]), None, torch.tensor([0]), 2, attacked=False)
    assert recalled_answers(tmp_path, "nad", test) is None
    keep_answers(tmp_path, "nad", Answers(labels, None), test)
    again = recalled_answers(tmp_path, "nad", test)
    assert again is not None and torch.equal(again.clean, labels) and again.triggered is None
    others = metrics.TestImages(torch.empty(2), labels.flip(0), torch.tensor([1]), None, torch.tensor([0]), 2)
    assert recalled_answers(tmp_path, "nad", others) is None
    answers_file(tmp_path, "nad").write_bytes(b"cut short")
    assert recalled_answers(tmp_path, "nad", test) is None
    with pytest.raises(RequestError):
        answers_file(tmp_path, "../elsewhere")
