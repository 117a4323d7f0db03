"""What passes between a listener and the server: a question without a word about sources, an answer, and the record."""

from dataclasses import dataclass

from fauxley.listening.assignment import Kind, Purpose


@dataclass(frozen=True)
class Opinion:
    """1 (worst) to 5 (best)."""

    quality: int
    ease: int
    diversity: int


@dataclass(frozen=True)
class Answer:
    """What a listener sends. `answer_id` is of the listener's making, the same when it is sent again."""

    trial: str
    answer_id: str
    value: str | Opinion
    plays: int = 0


@dataclass(frozen=True)
class Step:
    """What a listener is to be shown: tokens and places, nothing that tells a source.

    Attributes:
        trial: ID of the question; "" when there are no more.
        kind: what is asked.
        sounds: tokens, in the order heard.
        upcoming: tokens of the next question, to fetch ahead.
        done: questions answered so far.
        total: of all.
        place: of the question within its batch or part, from 0.
        size: of the batch or part.
        batch: of the label task, from 0.
        num_batches: of the label task.
    """

    trial: str
    kind: Kind | str
    sounds: tuple[str, ...]
    upcoming: tuple[str, ...]
    done: int
    total: int
    place: int = 0
    size: int = 0
    batch: int = -1
    num_batches: int = 0


@dataclass(frozen=True)
class Rating:
    """An answered question, with all that the server knows about it."""

    listener: int
    kind: Kind
    unit: str
    purpose: Purpose
    batch: int
    clips: tuple[str, ...]
    choice: str | None
    opinion: Opinion | None
    plays: int
    answered_at: float
    seconds: float

    @property
    def preferred(self) -> str:
        """Of a pair, the clip that was chosen, in whatever order they were heard; "" for neither."""
        places = {"first": 0, "second": 1}
        return self.clips[places[self.choice]] if self.choice in places else ""
