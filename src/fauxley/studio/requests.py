"""What the page may ask for, and what it is told: the bodies of requests and answers, with all their limits."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_SOUNDS = 64  # of one request
MOST_EXPORTED = 512
_MOST_NUMBERS = 4096  # of a latent

Identifier = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w-]+$")]
Name = Annotated[str, Field(max_length=100)]
# In JSON 2.0 is a whole number, too.
_WHOLE = BeforeValidator(lambda value: int(value) if isinstance(value, float) and value.is_integer() else value)
Seed = Annotated[int, Field(ge=0, lt=2**53), _WHOLE]
Number = Annotated[float, Field(ge=-8, le=8, allow_inf_nan=False)]
Latent = Annotated[list[Number], Field(min_length=1, max_length=_MOST_NUMBERS)]
Count = Annotated[int, Field(ge=1, le=MOST_SOUNDS), _WHOLE]
Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Labels = Annotated[dict[Annotated[str, Field(max_length=100)], Weight], Field(max_length=1000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Generate(_Strict):
    """New sounds: of `count` seeds from `seed` on, or of latents."""

    model: Identifier
    seed: Seed = 0
    count: Count = 1
    latents: Annotated[list[Latent], Field(min_length=1, max_length=MOST_SOUNDS)] | None = None
    labels: Labels = {}


class Vary(_Strict):
    """Sounds around a latent, within a radius: 0 is the latent itself, at 1 nothing of it is left."""

    model: Identifier
    latent: Latent
    labels: Labels = {}
    count: Count = 1
    radius: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.15
    seed: Seed = 0


class Morph(_Strict):
    """Sounds between latents: `columns` on the way between two, or `rows` × `columns` in a square of four.

    The corners of a square are the top left, top right, bottom left and bottom right one. `labels` are those of the
    corners, one for each, and are mixed as latents are.
    """

    model: Identifier
    corners: Annotated[list[Latent], Field(min_length=2, max_length=4)]
    labels: Annotated[list[Labels], Field(max_length=4)] = []
    rows: Annotated[int, Field(ge=1, le=16), _WHOLE] = 1
    columns: Count = 8


class Place(_Strict):
    """The sound at a place of a square of latents, `x` from left and `y` from top, both in [0, 1]."""

    model: Identifier
    corners: Annotated[list[Latent], Field(min_length=2, max_length=4)]
    labels: Annotated[list[Labels], Field(max_length=4)] = []
    x: Weight
    y: Weight = 0.0


class Invert(_Strict):
    """A recording that was sent before, and the model that is to come near it."""

    model: Identifier
    recording: Identifier
    labels: Labels = {}


class Kept(_Strict):
    """A sound to write: made from a latent, or a recording."""

    name: Name = ""
    model: Identifier | None = None
    latent: Latent | None = None
    seed: Seed | None = None
    labels: Labels = {}
    made: Annotated[str, Field(max_length=40)] = "new"
    recording: Identifier | None = None


class Settings(_Strict):
    """The knobs of a pad: gain in dB, pitch in semitones, attack in seconds, decay as a share of the sound.

    `tone` takes highs away below 0 and lows above, `pan` goes from -1, left, to 1, right, and `choke` is the number of
    a group in which each sound ends the one before.
    """

    gain: Annotated[float, Field(ge=-36, le=12, allow_inf_nan=False)] = 0.0
    pitch: Annotated[float, Field(ge=-24, le=24, allow_inf_nan=False)] = 0.0
    attack: Annotated[float, Field(ge=0, le=0.25, allow_inf_nan=False)] = 0.0
    decay: Weight = 1.0
    tone: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] = 0.0
    pan: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] = 0.0
    choke: Annotated[int, Field(ge=0, le=4), _WHOLE] = 0


class Exported(Kept):
    """A sound to write, as a pad plays it."""

    settings: Settings = Settings()


class Export(_Strict):
    """Sounds to write into one archive: as files, or as a kit for samplers.

    In a kit each sound of a model gets `takes` variations within `radius` that sound in turn, and up to `layers` of
    them by how hard a key is struck. The sounds of a kit are of one sample rate; they are brought to one loudness
    before the knobs of their pads have their say. Silent ones are left out, which the header `x-remark` says.
    """

    format: Literal["wav", "sfz", "decentsampler", "folder"] = "wav"
    sounds: Annotated[list[Exported], Field(min_length=1, max_length=MOST_EXPORTED)]
    name: Annotated[str, Field(min_length=1, max_length=60)] = "kit"
    takes: Annotated[int, Field(ge=1, le=6), _WHOLE] = 3
    layers: Annotated[int, Field(ge=1, le=3), _WHOLE] = 2
    radius: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.1


class Keep(_Strict):
    """Files of the folder that is auditioned, by their numbers."""

    sounds: Annotated[list[Annotated[int, Field(ge=0), _WHOLE]], Field(min_length=1, max_length=5000)]


class Model(BaseModel):
    """A model that can be played."""

    id: str
    name: str
    sample_rate: int
    channels: int
    samples: int
    latent_size: int
    labels: tuple[str, ...]
    license: str
    preset: str
    step: int
    dataset: str


class Studio(BaseModel):
    """What there is to play."""

    version: str
    models: list[Model]
    folder: str
    kept: str
    shelf: str
    can_invert: bool
    formats: list[str]
    upload_bytes: int


State = Literal["waiting", "running", "done", "failed", "cancelled"]


class Search(BaseModel):
    """How far the search for the latent of a recording is."""

    id: str
    state: State
    stage: str
    share: float
    problem: str = ""
    verdict: str = ""
    distance: float | None = None


class KnobFacts(BaseModel):
    """A knob of a model, such as `brighter`.

    `changes` is the property that it was found by; `low`, `middle` and `high` are that property's medians over some
    fresh sounds with the knob at -1, 0 and 1 (Hz, seconds, shares, LKFS); `works` is the share of these sounds that it
    turns the right way; `travel` is what turning it from 0 to 1 adds to a latent.
    """

    name: str
    changes: str
    low: float
    middle: float
    high: float
    works: float
    travel: list[float]


class Knobs(BaseModel):
    """The knobs of a model, once the state is `done`."""

    state: State | Literal["unknown"]
    stage: str = ""
    share: float = 0.0
    problem: str = ""
    knobs: list[KnobFacts] = []


class File(BaseModel):
    """A file of the folder that is auditioned."""

    id: int
    file: str
    label: str
    seconds: float
    loudness: float
    likeness: tuple[float, ...]
    problem: str


class ShelfEntry(BaseModel):
    """A sound on the shelf."""

    file: str
    name: str
    model: str
    seed: int | None
    latent: list[float]
    labels: dict[str, float]
    license: str


class Written(BaseModel):
    """What was written, and where."""

    file: str
    folder: str


class Copied(BaseModel):
    """How many files were copied, and where to."""

    copied: int
    folder: str


class Problem(BaseModel):
    """Why a request was not answered, in a sentence."""

    detail: str
