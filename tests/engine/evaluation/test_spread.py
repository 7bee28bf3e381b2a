import random
import statistics
import time

import pytest

from engine.evaluation.spread import LEAST, differences, spread

FIVE = {f"s{n}": {0: 10.0 * n, 1: 10.0 * n + 2} for n in range(5)}


def test_subsets_of_one_suspect_are_one_suspect():
    found = spread({"a": {0: 0.0, 1: 0.0, 2: 0.0}, "b": {0: 30.0}})
    assert (found.mean, found.count) == (15.0, "2 x 1-3")
    assert found.deviation == pytest.approx(statistics.stdev([0, 30]))
    assert (found.least, found.most, found.interval, found.ends) == (0, 30, None, (0, 30))


def test_one_suspect_is_spread_over_its_subsets():
    found = spread({"a": {0: 1.0, 1: 3.0}})
    assert (found.mean, found.deviation, found.count) == (2.0, pytest.approx(2**0.5), "1 x 2")
    assert spread({"a": {0: 1.0}}).deviation is None
    assert spread({}) is None and spread({"a": {0: float("nan")}}) is None


def test_from_five_suspects_on_there_is_an_interval():
    found = spread(FIVE)
    low, high = found.ends
    assert len(FIVE) == LEAST and found.interval and low < found.mean < high
    assert found.least < low and high < found.most
    assert spread({key: FIVE[key] for key in list(FIVE)[:4]}).interval is None


def test_the_interval_is_that_of_a_bootstrap_written_out():
    table = {n: {k: (7 * n + 3 * k * n) % 11 * 1.0 for k in range(1 + n % 3)} for n in range(7)}
    chance, means = random.Random(1), []
    for _ in range(20_000):
        suspects = chance.choices(list(table), k=len(table))
        means.append(
            statistics.fmean(
                statistics.fmean(chance.choices(list(table[each].values()), k=len(table[each]))) for each in suspects
            )
        )
    means.sort()
    low, high = spread(table).interval
    assert low == pytest.approx(means[500], abs=0.2) and high == pytest.approx(means[19_500], abs=0.2)


def test_what_subsets_agree_in_does_not_make_it_surer():
    few = spread({n: {0: float(n)} for n in range(6)})
    many = spread({n: dict.fromkeys(range(9), float(n)) for n in range(6)})
    assert few.interval == pytest.approx(many.interval, abs=0.25)


def test_the_order_does_not_matter_and_nothing_global_is_drawn():
    backwards = {key: dict(reversed(list(FIVE[key].items()))) for key in reversed(list(FIVE))}
    assert spread(backwards) == spread(FIVE)


def test_a_decile_is_of_suspects_and_the_worst_of_single_measurements():
    found = spread({n: {0: float(n), 1: float(n) + 4} for n in range(11)})
    assert (found.decile, found.most, found.least) == (pytest.approx(11.0), 14.0, 0.0)


def test_differences_are_of_what_both_were_measured_on():
    one, other = {"a": {0: 5.0, 1: 6.0}, "b": {0: 1.0}}, {"a": {0: 2.0, 2: 9.0}, "c": {0: 1.0}}
    assert differences(one, other) == {"a": {0: 3.0}}


def test_it_is_fast():
    began = time.perf_counter()
    for _ in range(20):
        spread({n: {k: float(n * k % 7) for k in range(3)} for n in range(33)})
    assert time.perf_counter() - began < 2
