"""The graph of attention maps: nodes, edges and embedding by hand; projections that really learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.defenses.argd.defense import Argd
from engine.defenses.argd.graph import Projections, edge, edge_loss, node_loss
from engine.errors import RequestError
from tests.ports import Driver, Tapped, clean_images, snapshot, unchanged
from tests.ports import port as made_port

QUICK = {"epochs": 2, "batch_size": 8, "lr": 0.05, "augment": {"crop": 0}}


def maps(seed: int, count: int = 4) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.rand(count, side, side, generator=draw) for side in (4, 4, 2)]


def test_nodes_by_hand():
    mine, theirs = maps(0), maps(1)
    wanted = sum(
        weight * float(((a.numpy() - b.numpy()) ** 2).mean())
        for weight, a, b in zip((3.0, 0.0, 2.0), mine, theirs, strict=True)
    )
    assert node_loss(mine, theirs, (3.0, 0.0, 2.0)).item() == pytest.approx(wanted, rel=1e-5)


def by_hand(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The edge of maps of 4x4 and 4x4, or 4x4 and 2x2."""
    if one.shape != other.shape:
        one = one.reshape(len(one), 2, 2, 2, 2).mean(axis=(2, 4))
    distances = ((one - other) ** 2).sum(axis=(1, 2))
    return distances / distances.max()


def test_an_edge_is_a_distance_over_the_largest_of_the_batch():
    one, two, three = (each.numpy() for each in maps(0))
    assert edge(*map(torch.tensor, (one, three))).numpy() == pytest.approx(by_hand(one, three), rel=1e-5)
    assert float(edge(torch.tensor(one), torch.tensor(two)).max()) == 1


def test_edges_are_compared_pair_by_pair():
    mine, theirs = maps(0), maps(1)
    pairs = [(0, 1), (0, 2), (1, 2)]
    wanted = np.mean(
        [
            ((by_hand(mine[a].numpy(), mine[b].numpy()) - by_hand(theirs[a].numpy(), theirs[b].numpy())) ** 2).mean()
            for a, b in pairs
        ]
    )
    assert edge_loss(mine, theirs).item() == pytest.approx(wanted, rel=1e-4)
    assert edge_loss(mine[:1], theirs[:1]).item() == 0, "a single tap has no relation"


def test_the_embedding_weighs_the_distances_of_all_pairs():
    mine, theirs = ([each / each.flatten(1).norm(dim=1).view(-1, 1, 1) for each in maps(seed)] for seed in (0, 1))
    projections = Projections(3, 8, seed=0).eval()
    shares = projections.shares(mine, theirs)
    assert shares.shape == (4, 3, 3)
    assert torch.allclose(shares.sum(dim=2), torch.ones(4, 3))
    wanted = 0.0
    for t, their in enumerate(theirs):
        for s, own in enumerate(mine):
            same = torch.nn.functional.adaptive_avg_pool2d(own[:, None], their.shape[1:])[:, 0]
            same = same / (same.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-6)
            wanted += float((shares[:, t, s].detach() * (same - their).square().mean(dim=(1, 2))).mean())
    assert projections(mine, theirs).item() == pytest.approx(wanted, rel=1e-4)


def test_projections_are_drawn_by_their_seed_alone():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = snapshot(Projections(2, 4, seed=5))
    assert torch.equal(state, torch.get_rng_state())
    assert unchanged(Projections(2, 4, seed=5), one)
    assert not unchanged(Projections(2, 4, seed=6), one)


def test_the_projections_are_trained_and_no_part_of_the_model():
    suspect = Tapped(0)
    before = snapshot(suspect)
    driver = Driver(Argd(teacher={"training": QUICK}, distill={"training": QUICK, "dimensions": 8}), made_port(suspect))
    purified = driver.run()
    asked = driver.asked[-1]
    drawn = snapshot(Projections(2, 8, seed=0))
    now = snapshot(asked.beside)
    assert not torch.equal(now["mine"], drawn["mine"])
    assert not torch.equal(now["queries.0.0.weight"], drawn["queries.0.0.weight"])
    assert purified.state_dict().keys() == suspect.state_dict().keys()
    parts = {part for step in driver.steps("argd") for part in step.parts}
    assert parts == {"ce", "node", "edge", "embedding"}
    assert unchanged(suspect, before)


def test_weights_that_do_not_fit_and_taps_that_say_nothing_are_refused():
    images = clean_images().images.float() / 255
    with pytest.raises(RequestError, match=r"defenses.argd.distill.node = \[1.0\]: 2 weights are wanted"):
        Argd(distill={"node": [1.0]}).check(Tapped(0), images)
    with pytest.raises(RequestError, match="argd: two: its map is 1x1, so that it relates to no other tap"):
        Argd().check(Tapped(0, pooled=True), images)
    Argd().check(Tapped(0), images)


def test_the_authors_weights_hold_on_their_maps():
    distill = Argd().distill
    assert distill.node_weights((1024, 256, 64)) == (2000, 5000, 2000)
    assert distill.node_weights((100, 25)) == (2500, 625), "elsewhere each tap's sum over its cells weighs the same"
    assert Argd(distill={"node": 20}).distill.node_weights((100, 25)) == (20, 20)
