import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex

import pytest

from fauxley.errors import FauxleyError
from fauxley.listening.answers import Answers, RefusedAnswerError, UnknownListenerError
from fauxley.listening.questions import Answer, Opinion
from fauxley.listening.study import ANSWERS_FILE, Design

NOW = 1e9


@pytest.fixture
def study(make_study):
    return make_study(Design(headphones=False))


@pytest.fixture
def answers(study, tmp_path: Path):
    answers = Answers(tmp_path, study)
    yield answers
    answers.close()


def to_label(answers: Answers, token: str):
    step = answers.step(token, NOW)
    assert step.kind == "volume"
    return answers.answer(token, Answer(step.trial, token_hex(16), "ok"), NOW)


def test_an_answer_sent_again_is_counted_once(answers: Answers) -> None:
    token = answers.start(NOW)
    step = to_label(answers, token)
    answer = Answer(step.trial, token_hex(16), "down", 1)
    after = answers.answer(token, answer, NOW + 3)
    assert after.trial != step.trial
    assert answers.answer(token, answer, NOW + 4) == after
    (rating,) = (rating for rating in answers.ratings() if rating.kind == "label")
    assert (rating.choice, rating.seconds, rating.plays) == ("down", 3.0, 1)


def test_another_answer_to_the_same_question_is_refused(answers: Answers) -> None:
    token = answers.start(NOW)
    step = to_label(answers, token)
    answers.answer(token, Answer(step.trial, token_hex(16), "down"), NOW)
    with pytest.raises(RefusedAnswerError, match="already"):
        answers.answer(token, Answer(step.trial, token_hex(16), "up"), NOW)
    assert [rating.choice for rating in answers.ratings()] == ["ok", "down"]


def test_questions_cannot_be_skipped_nor_answered_for_others(answers: Answers, study) -> None:
    mine, theirs = answers.start(NOW), answers.start(NOW)
    step = to_label(answers, mine)
    last = answers._db.execute("SELECT id FROM trial WHERE listener = 0 ORDER BY place DESC").fetchone()[0]
    for token, trial in ((mine, last), (theirs, step.trial), (mine, "made-up")):
        with pytest.raises(RefusedAnswerError):
            answers.answer(token, Answer(trial, token_hex(16), "down"), NOW)
    with pytest.raises(UnknownListenerError):
        answers.answer("nobody", Answer(step.trial, token_hex(16), "down"), NOW)


@pytest.mark.parametrize("value", ["sideways", "", "DOWN", "first", Opinion(1, 2, 3), "'; DROP TABLE answer; --"])
def test_an_answer_that_the_question_does_not_have_is_refused(answers: Answers, value) -> None:
    token = answers.start(NOW)
    step = to_label(answers, token)
    with pytest.raises(RefusedAnswerError, match="no such answer"):
        answers.answer(token, Answer(step.trial, token_hex(16), value), NOW)
    assert answers.step(token, NOW).trial == step.trial


def test_an_answer_id_of_another_answer_is_refused(answers: Answers) -> None:
    token = answers.start(NOW)
    step = answers.step(token, NOW)
    used = token_hex(16)
    step = answers.answer(token, Answer(step.trial, used, "ok"), NOW)
    with pytest.raises(RefusedAnswerError):
        answers.answer(token, Answer(step.trial, used, "down"), NOW)
    assert len(answers.ratings()) == 1


def test_the_schema_itself_forbids_what_must_not_be(answers: Answers) -> None:
    answers.start(NOW)
    trial = answers._db.execute("SELECT id FROM trial").fetchone()[0]
    good = [trial, token_hex(16), "down", None, None, None, 1, NOW, 1.0]
    bad = {
        "no trial": (0, "made-up"),
        "short id": (1, "x"),
        "empty choice": (2, ""),
        "scale on a choice": (3, 4),
        "plays": (6, -1),
        "time": (8, -0.5),
        "text for a number": (8, "soon"),
    }

    def insert(row: list) -> None:
        answers._db.execute("INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    for column, value in bad.values():
        row = [value if place == column else kept for place, kept in enumerate(good)]
        with pytest.raises(sqlite3.IntegrityError):
            insert(row)
    for scales in ([6, 1, 1], [0, 1, 1], [3, None, 3]):
        with pytest.raises(sqlite3.IntegrityError):
            insert([trial, token_hex(16), None, *scales, 1, NOW, 1.0])
    insert(good)


def test_one_goes_on_where_one_was(answers: Answers, study, tmp_path: Path) -> None:
    token = answers.start(NOW)
    step = to_label(answers, token)
    answers.close()
    reopened = Answers(tmp_path, study)
    assert reopened.step(token, NOW + 86_400) == step
    reopened.close()


def test_sounds_are_given_only_to_whom_they_are_for_and_only_when(answers: Answers) -> None:
    mine, theirs = answers.start(NOW), answers.start(NOW)
    step = to_label(answers, mine)
    assert answers.clip_of(mine, step.sounds[0]) in answers.study.clip
    assert answers.clip_of(mine, step.upcoming[0]) in answers.study.clip
    assert answers.clip_of(theirs, step.sounds[0]) is None
    later = answers._db.execute("SELECT token FROM sound ORDER BY rowid DESC").fetchone()[0]
    assert answers.clip_of(mine, later) is None
    assert answers.clip_of(mine, next(iter(answers.study.clip))) is None


@pytest.mark.parametrize(("apart", "shared"), [(10, False), (2 * 3600, True)])
def test_who_left_long_ago_makes_room_for_others(answers: Answers, apart: float, shared: bool) -> None:
    """There are two batches of each source. One listener gets those that the one before has not, unless it left."""
    for listener in range(6):
        answers.start(NOW + listener * apart)
    units = _assigned(answers, "opinion")
    batches = [set(units[4 * listener : 4 * listener + 4]) for listener in range(6)]
    assert any(batches[place] & batches[place + 1] for place in (0, 2, 4)) is shared


def _assigned(answers: Answers, kind: str) -> list[str]:
    rows = answers._db.execute("SELECT unit FROM trial WHERE kind = ? ORDER BY rowid", (kind,))
    return [row[0] for row in rows]


def test_many_at_once_are_balanced(answers: Answers) -> None:
    with ThreadPoolExecutor(16) as pool:
        tokens = list(pool.map(lambda _: answers.start(NOW), range(48)))
    assert len(set(tokens)) == 48
    counts = [_assigned(answers, "opinion").count(unit.id) for unit in answers.study.units if unit.task == "label"]
    assert counts == [24] * 8  # two batches of each of four sources


def test_tokens_are_not_on_the_disk(answers: Answers, tmp_path: Path) -> None:
    token = answers.start(NOW)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob(f"{ANSWERS_FILE}*"))
    assert token.encode() not in stored


def test_answers_of_another_study_are_not_touched(answers: Answers, make_study, tmp_path: Path) -> None:
    with pytest.raises(FauxleyError, match="another study"):
        Answers(tmp_path, make_study())


def test_a_file_that_is_no_database_is_one_line(make_study, tmp_path: Path) -> None:
    (tmp_path / ANSWERS_FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(FauxleyError, match="cannot be used"):
        Answers(tmp_path, make_study())
