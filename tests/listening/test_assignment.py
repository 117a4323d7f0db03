from collections import Counter

import pytest

from fauxley.listening.assignment import assign, latin_row
from fauxley.listening.study import Design


def sources_of_batches(study, trials):
    return [study.sources_of(study.unit[trial.unit])[0] for trial in trials if trial.kind == "opinion"]


def test_a_batch_is_ten_clips_of_one_source_and_one_again(make_study) -> None:
    study = make_study()
    trials = assign(study, 0, {})
    for batch in range(4):
        own = [trial for trial in trials if trial.batch == batch]
        assert [trial.kind for trial in own] == ["label"] * 11 + ["opinion"]
        assert len({study.clip[clip].source for trial in own for clip in trial.clips}) == 1
        rated = [trial.clips[0] for trial in own if trial.purpose == "rated" and trial.kind == "label"]
        (repeat,) = (place for place, trial in enumerate(own) if trial.purpose == "repeat")
        assert set(rated) == set(study.unit[own[0].unit].clips)
        assert repeat >= 8
        assert rated.index(own[repeat].clips[0]) < 5


def test_every_batch_has_the_same_shape_whatever_it_is_from(make_study) -> None:
    """Nothing in the number or the kind of questions tells one source from another."""
    study = make_study()
    trials = assign(study, 3, {})
    shapes = {tuple(trial.kind for trial in trials if trial.batch == batch) for batch in range(4)}
    assert len(shapes) == 1


def test_units_are_rated_equally_often(make_study) -> None:
    study = make_study(Design(tasks=("label", "pairs", "real-or-generated"), pairs=2, verdicts=2), clips=40)
    loads = Counter()
    for listener in range(60):
        for trial in assign(study, listener, loads):
            if trial.kind in ("opinion", "pair", "verdict") and trial.purpose != "repeat":
                loads[trial.unit] += 1
    groups = {}
    for unit in study.units:
        groups.setdefault((unit.task, study.sources_of(unit)), []).append(loads[unit.id])
    assert len(groups) == 4 + 4 + 3
    for group, counts in groups.items():
        assert max(counts) - min(counts) <= 1, group
        assert sum(counts) > 0


def test_each_source_comes_once_at_each_place(make_study) -> None:
    study = make_study()
    for first in (0, 4, 40):
        orders = [sources_of_batches(study, assign(study, first + listener, {})) for listener in range(4)]
        assert [sorted(column) for column in zip(*orders, strict=True)] == [[0, 1, 2, 3]] * 4
    different = {tuple(sources_of_batches(study, assign(study, listener, {}))) for listener in range(60)}
    assert len(different) > 12


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_latin_rows_are_permutations(size: int) -> None:
    rows = [latin_row(size, 5, listener) for listener in range(size)]
    assert all(sorted(row) == list(range(size)) for row in rows)
    assert all(sorted(column) == list(range(size)) for column in zip(*rows, strict=True))


def test_a_pair_is_heard_in_both_orders_alike(make_study) -> None:
    study = make_study(Design(tasks=("pairs",), pairs=3), clips=10)
    loads, turned = Counter(), Counter()
    for listener in range(43):
        for trial in assign(study, listener, loads):
            if trial.kind == "pair" and trial.purpose != "repeat":
                loads[trial.unit] += 1
                turned[trial.unit] += trial.clips != study.unit[trial.unit].clips
    assert all(abs(2 * turned[unit] - loads[unit]) <= 1 for unit in loads)
    assert 0.3 < sum(turned.values()) / sum(loads.values()) < 0.7
    odd = [2 * turned[unit] - loads[unit] for unit in loads if loads[unit] % 2]
    assert len(odd) > 16  # which way first is drawn for each by its identifier, which is new every time
    assert set(odd) == {-1, 1}


def test_half_of_the_verdicts_are_about_real_sounds(make_study) -> None:
    study = make_study(Design(tasks=("real-or-generated",), verdicts=3))
    verdicts = [trial for trial in assign(study, 0, {}) if trial.kind == "verdict" and trial.purpose == "rated"]
    roles = Counter(study.sources[study.clip[trial.clips[0]].source].role for trial in verdicts)
    assert roles == {"real": 6, "model": 6}


def test_nobody_rates_a_unit_twice_but_for_the_repeats(make_study) -> None:
    study = make_study(Design(batches=2, pairs=5, verdicts=5))
    for listener in range(5):
        trials = [t for t in assign(study, listener, {}) if t.purpose != "repeat" and t.kind not in ("label", "volume")]
        assert len({trial.unit for trial in trials}) == len(trials)


def test_it_is_a_function_of_seed_and_listener(make_study) -> None:
    study = make_study()
    assert assign(study, 5, {}) == assign(study, 5, {})
    assert assign(study, 5, {}) != assign(study, 6, {})


def test_small_studies_ask_what_there_is(make_study) -> None:
    study = make_study(Design(batches=5, pairs=50, verdicts=50), clips=10)
    trials = assign(study, 0, {})
    assert Counter(trial.kind for trial in trials)["opinion"] == 4  # one batch of each source
    assert len({trial.unit for trial in trials if trial.kind == "pair"}) == 3 * 10 + 3
