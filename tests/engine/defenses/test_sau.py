"""SAU: the divergence, the loss that leaves a class, the perturbation against steps taken by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.defenses.sau import Sau, SharedUnlearning, js_divergence, leaving
from tests.ports import Driver, Tapped, batch, snapshot, unchanged
from tests.ports import port as made_port

QUICK = {"epochs": 2, "batch_size": 8, "lr": 1e-3}


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(axis=1)


def test_the_divergence_is_that_of_entropies():
    """H((p + q) / 2) - (H(p) + H(q)) / 2."""
    draw = np.random.default_rng(0)
    one, other = draw.normal(size=(2, 5, 4)) * 2
    p, q = (np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (one, other))
    wanted = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    assert js_divergence(torch.tensor(one), torch.tensor(other)).numpy() == pytest.approx(wanted, rel=1e-6)


def test_it_is_zero_for_equals_and_log_2_for_opposites():
    sure = torch.tensor([[50.0, 0.0], [0.0, 50.0]])
    assert js_divergence(sure, sure).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert js_divergence(sure, sure.flip(0)).tolist() == pytest.approx([math.log(2)] * 2, rel=1e-4)


def test_leaving_a_class_by_hand():
    logits = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]]).log()
    loss = leaving(logits, torch.tensor([0, 2, 1]), torch.tensor([True, True, False]))
    assert loss.item() == pytest.approx(-(math.log(0.2) + math.log(0.7)) / 3, rel=1e-4)
    nothing = leaving(logits, torch.tensor([0, 2, 1]), torch.zeros(3, dtype=torch.bool))
    assert nothing.item() == 0


def test_it_goes_down_the_probability_of_the_class():
    logits = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    leaving(logits, torch.tensor([0]), torch.tensor([True])).backward()
    assert logits.grad[0, 0] > 0 > logits.grad[0, 1]


def test_a_perturbation_begins_at_the_bound_and_follows_the_sign():
    """One step from +0.2 goes to 0 where the gradient is positive, and stays at the bound where it is negative."""
    suspect, model = Tapped(0).eval(), Tapped(1).eval()
    given = batch(5)
    found = SharedUnlearning(Sau(steps=1), suspect).perturbation(model, given)
    leaf = torch.full_like(given.images, 0.2).requires_grad_()
    logits = [network(given.images + leaf) for network in (model, suspect)]
    said = [network(given.images).argmax(dim=1) for network in (model, suspect)]
    classes = [each.argmax(dim=1) for each in logits]
    adversarial, shared = 0.0, 0.0
    for row in range(5):
        fooled = [bool(now[row] != before[row]) for now, before in zip(classes, said, strict=True)]
        for each, done in zip(logits, fooled, strict=True):
            adversarial = adversarial - (0.0 if done else each[row].log_softmax(0)[given.labels[row]])
        if not (all(fooled) and classes[0][row] == classes[1][row]):
            shared = shared + js_divergence(logits[0][row : row + 1], logits[1][row : row + 1])[0]
    (-0.01 * adversarial / 2 / 5 + shared / 5).backward()
    wanted = (0.2 - 0.2 * leaf.grad.sign()).clamp(-0.2, 0.2)
    assert torch.allclose(found, wanted)


def test_it_stays_within_the_bound():
    found = SharedUnlearning(Sau(steps=4, bound=0.1, step=0.07), Tapped(0).eval()).perturbation(
        Tapped(1).eval(), batch(4)
    )
    assert float(found.abs().max()) <= 0.1 + 1e-6


def test_it_ends_with_other_weights_and_the_suspects_statistics():
    suspect = Tapped(0)
    before = snapshot(suspect)
    driver = Driver(Sau(training=QUICK), made_port(suspect))
    now = snapshot(driver.run())
    assert not torch.equal(now["convs.0.weight"], before["convs.0.weight"])
    assert torch.equal(now["norms.0.running_mean"], before["norms.0.running_mean"])
    assert {part for step in driver.steps("sau") for part in step.parts} == {"ce", "shared"}
    assert unchanged(suspect, before)
