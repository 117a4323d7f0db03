"""The log of an interrupted run reads as if nothing had happened."""

import json
import math

import numpy as np
import pytest

from fauxley.errors import FauxleyError
from fauxley.training.log import Log, read_log
from fauxley.training.run import Run


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def steps(run):
    return [line["step"] for line in read_log(run)]


def test_what_is_logged_is_read(run):
    log = Log(run, 0, False)
    log.numbers(10, {"critic_loss": -1.5})
    log.event(10, "warning: “quiet”\nline")
    log.close()
    numbers, event = read_log(run)
    assert (numbers["step"], numbers["critic_loss"]) == (10, -1.5)
    assert event["event"] == "warning: “quiet”\nline"
    assert len(run.log_file.read_text().splitlines()) == 2


def test_not_finite_numbers_stay_valid_json(run):
    log = Log(run, 0, False)
    log.numbers(1, {"a": math.nan, "b": math.inf})
    log.close()
    (line,) = run.log_file.read_text().splitlines()
    strict = json.loads(line, parse_constant=pytest.fail)
    assert math.isnan(float(strict["a"]))
    assert float(strict["b"]) == math.inf


def test_resuming_drops_the_future_and_the_line_that_was_cut(run):
    log = Log(run, 0, False)
    for step in (10, 20, 30, 40):
        log.numbers(step, {"x": step})
    log.close()
    with run.log_file.open("ab") as file:
        file.write(b'{"step": 50, "x": \xff')
    resumed = Log(run, 20, False)
    for step in (30, 40):
        resumed.numbers(step, {"x": -step})
    resumed.close()
    assert steps(run) == [10, 20, 30, 40]
    assert [line["x"] for line in read_log(run)] == [10, 20, -30, -40]


def test_rewinding_while_the_log_is_open(run):
    log = Log(run, 0, False)
    for step in (10, 20):
        log.numbers(step, {"x": 1})
    log.rewind(10)
    log.event(10, "back")
    log.close()
    assert steps(run) == [10, 10]


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        '"text"',
        '{"step": "one"}',
        '{"step": -1}',
        '{"step": 1e400}',
        '{"step": true}',
        '{"step": 3, "critic_loss": {"a": 1}}',
        '{"step": 3, "critic_loss": [1]}',
        '{"step": 3, "critic_loss": "low"}',
        '{"step": 3, "critic_loss": NaN}',
        '{"step": 3, "step": 4}',
        '{"step": ' + "9" * 5000 + "}",
        "[" * 100_000,
        "\0",
    ],
)
def test_lines_of_another_kind_are_passed_over_with_a_warning(run, line):
    run.log_file.write_text(f'{{"step": 1}}\n\n{line}\n{{"step": 2, "critic_loss": "nan"}}\n')
    with pytest.warns(UserWarning, match="1 of 4 lines are damaged") as caught:
        assert steps(run) == [1, 2]
    assert len(caught) == 1


def test_a_log_that_is_no_file_or_far_too_large_is_an_error(run):
    with run.log_file.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FauxleyError, match="too large"):
        read_log(run)
    run.log_file.unlink()
    run.log_file.mkdir()
    with pytest.raises(FauxleyError, match="is not a file"):
        read_log(run)


def test_no_log_is_an_empty_log(run):
    assert read_log(run) == []


def test_tensorboard_gets_scalars_sounds_and_pictures(run):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = Log(run, 0, True)
    log.numbers(5, {"critic_loss": 2.0})
    t = np.arange(4096) / 8000
    log.sounds(5, {"real": 0.5 * np.sin(2 * np.pi * 440 * t).astype(np.float32)[None, None]}, 8000)
    log.close()
    board = reading.EventAccumulator(str(run.tensorboard)).Reload()
    assert board.Scalars("critic_loss")[0].value == 2
    assert board.Audio("real/0")[0].sample_rate == 8000
    assert board.Images("real/0")
    assert board.Histograms("level_db/real")[0].histogram_value.max == pytest.approx(-9.03, abs=0.1)
