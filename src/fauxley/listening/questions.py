"""A question as a listener sees it, the answer that comes back, and the rating that is recorded.

What is sent to a listener says nothing about sources.
"""

from dataclasses import dataclass

from fauxley.listening.assignment import Kind, Purpose


@dataclass(frozen=True)
class Opinion:
    """An opinion of a batch of clips: numbers from 1 (worst) to 5 (best)."""

    quality: int
    ease: int
    diversity: int


@dataclass(frozen=True)
class Answer:
    """An answer as a browser sends it, which makes up `answer_id` and keeps it when it sends the answer again."""

    trial: str
    answer_id: str
    value: str | Opinion
    plays: int = 0


@dataclass(frozen=True)
class Question:
    """The question that a listener is to be shown next: tokens and counts, nothing that tells a source.

    Attributes:
        trial: ID of the question; "" when there are no more.
        kind: kind of question.
        sounds: tokens of its sounds, in the order heard.
        upcoming: tokens of the sounds of the question after it, to be fetched ahead.
        done: number of questions answered so far.
        total: number of all questions.
        place: number of the question within its batch or part, from 0.
        size: number of questions in that batch or part.
        batch: number of the batch, from 0; -1 outside the label task.
        num_batches: number of batches that the listener labels.
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
        """The clip that was chosen of a pair, whichever was heard first; "" for neither."""
        places = {"first": 0, "second": 1}
        return self.clips[places[self.choice]] if self.choice in places else ""
