"""A study without sounds, and listeners whose ears are known."""

from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

import numpy as np
import pytest

from fauxley.listening.answers import Answers
from fauxley.listening.creation import make_units
from fauxley.listening.questions import Answer, Opinion, Rating
from fauxley.listening.study import CANNOT_TELL, Clip, Design, Source, Study, Tones

LABELS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
QUALITY = {"real": 4.4, "good": 3.2, "bad": 2.0, "anchor": 1.3}


@pytest.fixture
def make_study() -> Callable[..., Study]:
    def make(design: Design | None = None, clips: int = 20, labelled: bool = True) -> Study:
        design = design or Design()
        names = {"real": "real", "good": "model", "bad": "model", "anchor": "anchor"}
        sources = tuple(Source(name, role, "") for name, role in names.items())
        made = tuple(
            Clip(token_hex(16), place, LABELS[number % 10] if labelled else "", f"{source.name}-{number}")
            for place, source in enumerate(sources)
            for number in range(clips)
        )
        units = tuple(make_units(made, sources, design, np.random.default_rng(0)))
        tones = tuple(Tones(token_hex(16), 1 + place % 3) for place in range(6)) if design.headphones else ()
        return Study(
            1, token_hex(16), "Study", LABELS, design, 16000, 1.0, -30.0, sources, made, units, tones, token_hex(16)
        )

    return make


class Listener:
    """Answers by what it hears: a careful one by the quality of the source, a careless one by dice."""

    def __init__(self, study: Study, number: int, careful: bool = True, seconds: float = 2.0) -> None:
        self.study, self.careful, self.seconds = study, careful, seconds
        self._rng = np.random.default_rng([number, careful])

    def answer(self, kind: str, clips: tuple[str, ...]) -> str | Opinion:
        rng = self._rng
        if kind == "volume":
            return "ok"
        if kind == "headphones":
            quietest = {tones.id: str(tones.quietest) for tones in self.study.tones}
            return quietest[clips[0]] if self.careful else str(rng.integers(1, 4))
        if not self.careful:
            by_dice: dict[str, Callable[[], str | Opinion]] = {
                "label": lambda: str(rng.choice([*LABELS, CANNOT_TELL])),
                "opinion": lambda: Opinion(*rng.integers(1, 6, 3).tolist()),
                "pair": lambda: str(rng.choice(["first", "second", "neither"])),
                "verdict": lambda: str(rng.choice(["real", "generated"])),
            }
            return by_dice[kind]()
        heard = [QUALITY[self.study.sources[self.study.clip[clip].source].name] for clip in clips]
        if kind == "label":
            label = self.study.clip[clips[0]].label or "go"
            return label if rng.random() < heard[0] / 4.7 else CANNOT_TELL
        if kind == "opinion":
            return Opinion(*(int(np.clip(round(heard[0] + rng.normal(0, 0.7)), 1, 5)) for _ in range(3)))
        if kind == "pair":
            difference = heard[0] - heard[1] + rng.normal(0, 0.8)
            return "neither" if abs(difference) < 0.2 else "first" if difference > 0 else "second"
        return "real" if heard[0] + rng.normal(0, 1) > 3.5 else "generated"


@pytest.fixture
def simulate(tmp_path: Path) -> Callable[..., list[Rating]]:
    """Let careful and careless listeners, by number, take part in a study, and return their ratings."""

    def run(study: Study, careful: int, careless: int = 0, seconds: float = 2.0) -> list[Rating]:
        answers = Answers(tmp_path, study)
        answers._db.execute("PRAGMA synchronous=OFF")  # a thousand flushes are another test's business
        now = 1e9
        for number in range(careful + careless):
            listener = Listener(study, number, number < careful)
            token = answers.start(now)
            step = answers.step(token, now)
            while step.trial:
                now += seconds
                clips = tuple(answers.clip_of(token, sound) or "" for sound in step.sounds)
                value = listener.answer(step.kind, clips)
                step = answers.answer(token, Answer(step.trial, token_hex(16), value, 1), now)
        ratings = answers.ratings()
        answers.close()
        return ratings

    return run
