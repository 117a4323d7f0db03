import csv
import io
from itertools import pairwise

import pytest

from fauxley.listening.carelessness import find_careless
from fauxley.listening.results import evaluate
from fauxley.listening.study import Design
from fauxley.listening.tables import write_ratings


@pytest.mark.slow
def test_the_order_of_the_sources_is_found(make_study, simulate) -> None:
    study = make_study()
    ratings = simulate(study, careful=12)
    figures = evaluate(study, ratings, {}).kept
    real, good, bad, anchor = figures.sources
    for measure in ("accuracy", "quality", "ease", "diversity"):
        means = [getattr(source, measure).mean for source in (real, good, bad, anchor)]
        assert all(first > second for first, second in pairwise(means)), measure
    assert real.quality.low < 4.4 < real.quality.high
    assert real.judged_real.mean > 0.7 > 0.3 > bad.judged_real.mean
    assert anchor.judged_real is None
    assert [(pair.first, pair.second) for pair in figures.pairs] == [("real", "good"), ("real", "bad"), ("good", "bad")]
    assert all(pair.preference.low > 0.5 and pair.wins > pair.losses for pair in figures.pairs)
    assert all(pair.p_listeners < 0.01 for pair in figures.pairs)
    assert all(each.p_holm < 0.05 for each in figures.differences if each.measure == "quality")
    assert {each.measure: each.alpha > 0.3 for each in figures.agreement}["labels"]


def test_figures_are_what_counting_by_hand_gives(make_study, simulate) -> None:
    study = make_study()
    ratings = simulate(study, careful=5)
    real = evaluate(study, ratings, {}).everyone.sources[0]
    rated = [r for r in ratings if r.kind == "label" and r.purpose == "rated" and study.clip[r.clips[0]].source == 0]
    right = sum(r.choice == study.clip[r.clips[0]].label for r in rated)
    assert real.accuracy.mean == pytest.approx(right / len(rated))
    assert real.accuracy.answers == len(rated) == 50
    assert sum(map(sum, real.confusion)) == 50
    assert sum(row[place] for place, row in enumerate(real.confusion)) == right
    assert real.given == tuple(map(sum, zip(*real.confusion, strict=True)))
    qualities = [r.opinion.quality for r in ratings if r.opinion and study.clip[r.clips[0]].source == 0]
    assert real.quality.mean == pytest.approx(sum(qualities) / len(qualities))


def test_without_labels_of_the_clips_there_is_no_accuracy_but_the_rest(make_study, simulate) -> None:
    study = make_study(labelled=False)
    real = evaluate(study, simulate(study, careful=3), {}).everyone.sources[0]
    assert real.accuracy is None
    assert real.confusion is None
    assert sum(real.given) == 30
    assert real.quality is not None


@pytest.mark.slow
def test_the_careless_are_found_and_the_careful_are_not(make_study, simulate) -> None:
    study = make_study()
    excluded = find_careless(study, simulate(study, careful=15, careless=15))
    assert [listener for listener in excluded if listener < 15] == []
    assert len(excluded) == 15
    assert all("real sounds labelled right" in reasons[0] for reasons in excluded.values())


def test_where_only_anchors_tell_most_of_the_careless_are_found(make_study, simulate) -> None:
    study = make_study(Design(tasks=("pairs",)))
    excluded = find_careless(study, simulate(study, careful=20, careless=20))
    assert [listener for listener in excluded if listener < 20] == []
    assert len(excluded) >= 10  # who chooses by dice is wrong in two of three comparisons of three in 74 % of cases


@pytest.mark.slow
def test_figures_with_and_without_the_careless(make_study, simulate) -> None:
    study = make_study()
    results = evaluate(study, simulate(study, careful=10, careless=5), dict.fromkeys(range(15), True))
    assert results.started == results.finished == 15
    assert results.headphones == 10
    assert results.kept.listeners == 15 - len(results.excluded) < results.everyone.listeners == 15
    assert results.kept.sources[0].accuracy.mean > results.everyone.sources[0].accuracy.mean + 0.1


def test_haste_and_anchors_alone_exclude_where_nothing_else_is_asked(make_study, simulate) -> None:
    study = make_study(Design(tasks=("pairs",)))
    hasty = find_careless(study, simulate(study, careful=3, seconds=0.1))
    assert len(hasty) == 3
    assert all("length" in reasons[0] for reasons in hasty.values())


def test_nobody_is_excluded_for_what_was_not_asked(make_study, simulate) -> None:
    study = make_study(Design(tasks=("real-or-generated",), headphones=False), labelled=False)
    ratings = simulate(study, careful=4)
    assert find_careless(study, ratings) == {}
    assert evaluate(study, [], {}).everyone.answers == 0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(make_study, simulate) -> None:
    study = make_study()
    ratings = simulate(study, careful=3)
    assert evaluate(study, ratings, {}, 1) == evaluate(study, ratings, {}, 1)
    assert evaluate(study, ratings, {}, 1) != evaluate(study, ratings, {}, 2)


@pytest.mark.slow
def test_the_exported_table_holds_every_answer_and_gives_the_same_figures(make_study, simulate) -> None:
    study = make_study()
    ratings = simulate(study, careful=4, careless=2)
    file = io.StringIO()
    assert write_ratings(study, ratings, file) == len(ratings)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert len(rows) == len(ratings)
    results = evaluate(study, ratings, {})
    correct = [
        int(row["correct"])
        for row in rows
        if row["source"] == "real" and row["kind"] == "label" and row["purpose"] == "rated" and row["careless"] == "0"
    ]
    assert sum(correct) / len(correct) == pytest.approx(results.kept.sources[0].accuracy.mean)
    assert {row["listener"] for row in rows if row["careless"] == "1"} == {str(e.listener) for e in results.excluded}
