"""A report says so where the sounds that it judges were chosen from more."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fauxley.evaluation.evaluator import Judged
from fauxley.evaluation.figures import Evaluation
from fauxley.evaluation.folder_clips import FolderClips
from fauxley.evaluation.report.report import warnings_for
from fauxley.sounds.writing import write_audio


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of sounds with these facts beside them."""

    def make(facts):
        for number in range(3):
            write_audio(tmp_path / f"{number}.wav", np.ones((1, 100), np.float32) / 2, 8000, metadata=facts)
        return FolderClips(tmp_path, "mine", 8000, 4096, 10)

    return make


def judge():
    """An evaluator as far as warnings ask it."""
    figures = Evaluation("real", 5000)
    return SimpleNamespace(real=[figures], test=[], baseline_distances=range(200), classifier=None)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"keep": 0.5, "from": 80}, "keep 0.5, from 80"),
        ({"pick": "longest", "from": 9}, "pick longest, from 9"),
        ({"truncation": 0.7}, "truncation 0.7"),
        ({"knobs": {"longer": 0.5}}, "knobs {'longer': 0.5}"),
        ({"seed": 3}, ""),
        ({}, ""),
    ],
)
def test_what_was_chosen_is_said_to_be(folder, facts, words):
    source = folder(facts)
    assert source.chosen == words
    found = [text for text in warnings_for(judge(), [Judged(source, Evaluation("mine", 5000))]) if "chosen" in text]
    assert [words in text and text.startswith("mine: ") for text in found] == [True] * bool(words)


def test_sidecars_that_are_none_do_no_harm(folder, tmp_path):
    source = folder({"keep": 0.5})
    for number, content in enumerate(("{", "[1]", json.dumps({"keep": "x" * 5000}))):
        (tmp_path / f"{number}.json").write_text(content)
    assert source.chosen == f"keep {'x' * 100}"
