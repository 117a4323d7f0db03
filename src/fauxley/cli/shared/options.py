"""The flags of the command line: how tyro makes them from signatures and dataclasses, and flags that commands share.

A command's signature is its command line. Dataclasses of the library are plain; `_FIELDS` says how their fields become
flags. Every help text imports this module, so functions here import datasets only when they need them.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from fauxley.cli.shared.values import RefusedError, read_path, read_real, read_whole
from fauxley.errors import UsageError, printable
from fauxley.storage import check_folder_place

if TYPE_CHECKING:  # it brings PyTorch along
    from fauxley.training.config import TrainingConfig

Flat = tyro.conf.arg(name="")
"""The fields of a dataclass become flags without a prefix: --dim, not --architecture.dim."""
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""A flag without a --no- form."""
Folder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
Model = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
ClusterAddress = Annotated[str | None, tyro.conf.arg(metavar="URL")]

_ONE_OF = (tyro.conf.AvoidSubcommands, Flat)  # of a union of dataclasses only the default's, with flat fields
_TAKEN = tyro.conf.Fixed, tyro.conf.Suppress  # not a flag: the value comes from the data
_OFF = (tyro.conf.FlagCreatePairsOff,)
# By dataclass and field, how it becomes a flag if not by tyro's defaults. By name, since importing most brings PyTorch.
_FIELDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "TrainingConfig": {
        "preset": (tyro.conf.Suppress,),
        "architecture": _ONE_OF,
        "objective": _ONE_OF,
        "optimizer": _ONE_OF,
        "averaging": (Flat,),
        "data": (Flat,),
        "origin": _TAKEN,
    },
    "WaveGAN": {"labels": _TAKEN},
    "SpecGAN": {
        "labels": _TAKEN,
        **dict.fromkeys(("inversion_dim", "inversion_layers", "inversion_iterations"), (tyro.conf.Suppress,)),
    },
    "InversionTraining": {"optimizer": (Flat,)},
    "Choice": {"pool": (tyro.conf.arg(name="from"),)},
    "Output": dict.fromkeys(("clean", "listing", "overwrite", "quiet"), _OFF),
}


@dataclass(frozen=True)
class Reference:
    """The real sounds and networks by which clips are judged."""

    data: Path
    """Real sounds that the model was trained on: a dataset, or a folder of sounds."""
    test: Path | None = None
    """Real sounds that the model was not trained on. They show what figures are possible, and help to find copies."""
    classifier: Path | None = None
    """A classifier made by 'fauxley train-classifier'; by default one that was trained on this data before, if any."""
    embedding: tuple[Literal["speech"], ...] = ()
    """Pretrained embeddings to measure distances in, too; needs pip install 'fauxley[speech]'."""
    speech_quality: int = 0
    """Number of clips of each set whose speech quality is estimated (DNSMOS, slow); needs 'fauxley[speech]'."""

    def __post_init__(self) -> None:
        if self.speech_quality < 0:
            raise UsageError(f"--speech-quality must not be negative; got {self.speech_quality}")

    def check(self) -> None:
        """Check that everything is there, before anything slow is done for it.

        Raises:
            UsageError: a folder does not exist.
        """
        check_there(self.data)
        if self.test is not None:
            check_there(self.test)
        if self.classifier is not None:
            check_there(self.classifier, "; 'fauxley train-classifier' makes one")

    def check_prepared(self) -> None:
        """Check that the real sounds are datasets, which a cluster's workers can open, too.

        Raises:
            UsageError: they are still to be prepared, which would fill a cache on this machine.
        """
        from fauxley.dataset.format import INFO_FILE

        for path in (self.data, self.test):
            if path is not None and not (path / INFO_FILE).is_file():
                raise UsageError(
                    f"{printable(path)} is not a dataset, which --cluster needs; make one with 'fauxley prepare' where "
                    "all machines see it"
                )


def check_there(path: Path, hint: str = "") -> None:
    """Check that a file or folder exists, before anything slow is done for it.

    Raises:
        UsageError: it does not.
    """
    if not path.exists():
        raise UsageError(f"{printable(path)} does not exist{hint}")


def check_sounds(paths: Iterable[Path]) -> None:
    """Check that paths are models, datasets or folders, before anything slow is done for them.

    Raises:
        UsageError: one of them is none of these.
    """
    from fauxley.runs import names_model
    from fauxley.shipped import hint_at_shipped

    for path in paths:
        if not path.is_dir() and not names_model(path):
            what = "is a file" if path.exists() else "does not exist"
            raise UsageError(f"{printable(path)} {what}; it must be sounds or a model; {hint_at_shipped(path)}")


def check_out(out: Path, overwrite: bool) -> None:
    """Check that results may be written to a folder.

    Raises:
        UsageError: it has other content, which is not to be replaced.
    """
    check_folder_place(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not overwrite:
        raise UsageError(f"{printable(out)} has something in it; choose another --out, or give --overwrite")


def check_new(out: Path) -> None:
    """Check that a new folder can be made.

    Raises:
        UsageError: a file of this name exists, or a folder that is not empty.
    """
    check_folder_place(out)
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{printable(out)} has something in it; choose another --out")


def clip_length_for(seconds: float, sample_rate: int) -> int:
    """The shortest possible clip length of a model that holds `seconds`, to within a tenth.

    Raises:
        UsageError: there is none.
    """
    from fauxley.dataset.slicing import fitting_clip_length

    if not 0 < seconds < 1e6:
        raise UsageError(f"--seconds must be the length of a clip, such as 1.5; got {seconds}")
    length = fitting_clip_length(seconds, sample_rate)
    if length < 0.9 * seconds * sample_rate:
        raise UsageError(
            f"{seconds:g} s at {sample_rate} Hz are longer than the longest clip of a model: {length} samples, "
            f"{length / sample_rate:.2f} s; give less, or a lower --sample-rate"
        )
    return length


def describe_fit(seconds: float, length: int, sample_rate: int) -> str:
    """The clip length chosen for `seconds`, in words."""
    return (
        f"--seconds {seconds:g}: clips of {length} samples, {length / sample_rate:.2f} s at {sample_rate} Hz, "
        "the shortest clip length of a model that holds it"
    )


def with_seconds(config: "TrainingConfig", seconds: float, data: Path | str) -> "tuple[TrainingConfig, int]":
    """`config` with clips that hold `seconds` of the sounds at `data`, and the sounds' sample rate."""
    from fauxley.dataset.dataset import Dataset
    from fauxley.dataset.format import is_dataset

    rate = config.data.sample_rate
    if is_dataset(data):
        rate = Dataset.open(data).sample_rate
    architecture = dataclasses.replace(config.architecture, clip_length=clip_length_for(seconds, rate))
    return dataclasses.replace(config, architecture=architecture), rate


def registry() -> ConstructorRegistry:
    """tyro's rules for reading numbers, choices, paths and our dataclasses."""
    rules = ConstructorRegistry()

    @rules.primitive_rule
    def numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | PrimitiveConstructorSpec[float] | None:
        if info.type is int:
            return PrimitiveConstructorSpec(
                1, "INT", lambda words: read_whole(words[0]), _is_whole, lambda value: [str(value)]
            )
        if info.type is float:
            return PrimitiveConstructorSpec(
                1, "FLOAT", lambda words: read_real(words[0]), _is_number, lambda value: [str(value)]
            )
        return None

    @rules.primitive_rule
    def paths(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
        if info.type is not Path:
            return None
        return PrimitiveConstructorSpec(
            1, "PATH", lambda words: read_path(words[0]), lambda value: isinstance(value, Path), lambda p: [str(p)]
        )

    rules.primitive_rule(_optional_words)
    under_way: set[Any] = set()

    @rules.struct_rule
    def library_dataclasses(info: StructTypeInfo) -> StructConstructorSpec | None:
        if not getattr(info.type, "__module__", "").startswith("fauxley.") or info.type in under_way:
            return None
        markers = _FIELDS.get(getattr(info.type, "__name__", ""), {})
        under_way.add(info.type)
        try:
            spec = ConstructorRegistry.get_struct_spec(info)  # tyro's own rule, because this one returns None now
        finally:
            under_way.remove(info.type)
        if not isinstance(spec, StructConstructorSpec):
            return None
        fields = tuple(_marked(field, markers.get(field.name, ())) for field in spec.fields)
        return replace(spec, fields=fields, instantiate=_refusing(spec.instantiate))

    return rules


def _optional_words(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """One of several words, or nothing: by tyro's own rule "None" would be one of the words, in random order."""
    options = [each for each in get_args(info.type) if each is not type(None)]
    if len(options) != 1 or len(get_args(info.type)) != 2 or get_origin(options[0]) is not Literal:
        return None
    words = get_args(options[0])
    return PrimitiveConstructorSpec(
        1,
        "{" + ",".join(words) + "}",
        lambda given: given[0],
        lambda value: value is None or value in words,
        lambda value: [str(value)],
        words,
    )


def _refusing(instantiate: Callable[..., Any]) -> Callable[..., Any]:
    """The constructor of a dataclass, with its complaints as `RefusedError`."""

    def make(*args: Any, **kwargs: Any) -> Any:
        try:
            return instantiate(*args, **kwargs)
        except UsageError as error:
            raise RefusedError(str(error)) from error

    return make


def with_flags(message: str, command: Callable[..., Any]) -> str:
    """A message of the library with its settings named as flags of this command.

    The library names a setting by its name in Python: `clip_length`, `seed must be`, `overwrite=True`. Where the
    command has such a flag, these become `--clip-length`, `--seed must be` and `--overwrite`.
    """
    if "--" in message:  # written by the command itself
        return message
    return name_flags(message, _flags(command))


def name_flags(message: str, known: Iterable[str]) -> str:
    """A message of the library with those of its settings named as flags that are among the known ones."""
    flags = {re.split(r"--|[.]", flag)[-1]: flag for flag in known}  # --cutting.fade-out-seconds, too

    def flag(match: re.Match[str]) -> str:
        is_setting = "_" in match[1] or match[2] is not None
        return flags.get(match[1].replace("_", "-"), match[0]) if is_setting else match[0]

    return re.sub(r"(?<![\w/.-])([a-z][a-z_]*)(=True|(?= must\b))?(?![\w/.=(-]| =)", flag, message)


def _flags(command: Callable[..., Any]) -> list[str]:
    """The flags of a command, as its help lists them."""
    with redirect_stdout(StringIO()) as text, suppress(SystemExit):
        tyro.cli(command, args=["--help"], registry=registry())
    return re.findall(r"^\W*(--[a-z][\w.-]*)", text.getvalue(), re.MULTILINE)


def _marked(field: StructFieldSpec, markers: tuple[Any, ...]) -> StructFieldSpec:
    marked: Any = Annotated[(field.type, *markers)] if markers else field.type
    return replace(field, type=marked)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, float) or _is_whole(value)
