"""Numbers and paths of the command line, and numbers in sentences."""

import dataclasses
from pathlib import Path

import pytest

from fauxley.cli.main import main
from fauxley.cli.shared.options import _FIELDS, with_flags
from fauxley.cli.shared.values import UnreadableError, read_real, read_whole
from fauxley.dataset.cutting import Cutting
from fauxley.errors import FauxleyError
from fauxley.latents.choice import Choice
from fauxley.machine import format_bytes, require_disk, require_memory
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN
from fauxley.rendering.output import Output
from fauxley.terminal.formatting import counted, duration, waiting_time
from fauxley.terminal.progress import progress_line
from fauxley.training.config import TrainingConfig
from fauxley.training.inversion_training import InversionTraining


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("20", 20), ("1e4", 10_000), ("44.1k", 44_100), ("44.1kHz", 44_100), ("48 khz", 48_000), ("2M", 2_000_000)),
        *(("16_000", 16_000), ("-3", -3), ("+7", 7), ("1.5e3", 1500), ("0", 0), ("9223372036854775807", 2**63 - 1)),
    ],
)
def test_whole_numbers_as_people_write_them(text: str, value: int) -> None:
    assert read_whole(text) == value


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("2e-4", 2e-4), (".5", 0.5), ("1.5k", 1500), ("-60", -60)])
def test_real_numbers_as_people_write_them(text: str, value: float) -> None:
    assert read_real(text) == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1e", "e4", "4u", "1,5", "0x10", "1e9999", "٣½", "--3"])
def test_what_is_no_number_is_refused(text: str) -> None:
    for read in (read_whole, read_real):
        with pytest.raises(UnreadableError):
            read(text)


@pytest.mark.parametrize("text", ["1.5", "1e-1", "0.0441k", "1e30", "9223372036854775808"])
def test_a_fraction_or_too_much_is_no_whole_number(text: str) -> None:
    with pytest.raises(UnreadableError):
        read_whole(text)


@pytest.mark.parametrize("flag", [["--count", "1e9x"], ["--count=1e9x"], ["--sample-rate", "high"], ["--out", ""]])
def test_the_flag_is_named_in_one_line(flag: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "model", "--out", "there", *flag]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"fauxley: {flag[0].partition('=')[0]}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("clip_length must be 3; got clip_length", "--clip-length must be 3; got --clip-length"),
        ("seed must be 0 or more", "--seed must be 0 or more"),
        ("the seed is drawn", "the seed is drawn"),
        ("choose another folder, or give overwrite=True", "choose another folder, or give --overwrite"),
        ("min_gap_seconds must be a number", "--cutting.min-gap-seconds must be a number"),
        ("my_folder/clip_length is not there", "my_folder/clip_length is not there"),
        ("begun with clip_length = 3, not 4", "begun with clip_length = 3, not 4"),
        ("--seed and clip_length", "--seed and clip_length"),
    ],
)
def test_messages_of_the_library_name_flags_of_the_command(message: str, shown: str) -> None:
    def command(
        clip_length: int = 1,
        seed: int = 0,
        overwrite: bool = False,
        cutting: Cutting = Cutting(),  # noqa: B008 - frozen
    ) -> None:
        """Do nothing."""

    assert with_flags(message, command) == shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["cut", "{kit}", "--out", "there", "--min-gap-seconds", "100"],
        ["prepare", "{kit}", "there", "--cutting.min-gap-seconds", "100"],
        ["generate", "drums", "--out", "there", "--cleaning.trim-db", "3"],
        ["export", "drums", "--to", "sfz", "--out", "there", "--takes", "100"],
        ["train-classifier", "--data", "{kit}", "--held-out", "3"],
    ],
)
def test_settings_of_dataclasses_are_refused_in_one_line_that_names_the_flag(
    arguments: list[str], kit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([each.format(kit=kit) for each in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"fauxley: {arguments[-2]} must" in error


def test_counts_agree_with_their_nouns() -> None:
    assert [counted(n, "clip") for n in (0, 1, 2, 1000)] == ["0 clips", "1 clip", "2 clips", "1,000 clips"]
    assert [counted(n, "minute") for n in (0.5, 1.0, 90.0)] == ["0.5 minutes", "1 minute", "90 minutes"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.35, "0.35 s"), (744, "12.4 min"), (11_160, "3.1 h"), (47 * 3600, "47.0 h"), (49 * 3600, "2.0 days")],
)
def test_hours_beyond_two_days_are_days(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert waiting_time(1e30).endswith("years")


def test_sizes_have_units_that_fit() -> None:
    sizes = [format_bytes(count) for count in (12, 3000, 1_500_000_000, 2 * 10**16, 10**40)]
    assert sizes == ["12 bytes", "3.0 kB", "1.5 GB", "20,000 TB", "1e18 TB"]


def test_what_has_no_room_is_refused_and_what_has_is_not(tmp_path: Path) -> None:
    require_memory("this", 1, "do less")
    require_disk("this", 1, tmp_path / "not" / "there", "do less")
    with pytest.raises(FauxleyError, match="do less"):
        require_memory("this", 10**18, "do less")
    with pytest.raises(FauxleyError, match="do less"):
        require_disk("this", 10**18, tmp_path / "not" / "there", "do less")


def test_a_line_of_progress_tells_rate_and_time_left() -> None:
    assert progress_line("scanning", 120, 1000, 5.0) == "scanning: 120 of 1,000, 24.0 a second, 37 s left"
    assert progress_line("training", 2, 10, 8.0) == "training: 2 of 10, 4.0 s each, 32 s left"
    assert progress_line("reading", 0, 0, 65.0) == "reading: 1.1 min so far"


def test_fields_whose_flags_are_declared_are_there() -> None:
    """A field that is renamed would silently get flags of another shape."""
    classes = {each.__name__: each for each in (TrainingConfig, WaveGAN, SpecGAN, InversionTraining, Choice, Output)}
    assert _FIELDS.keys() == classes.keys()
    for name, markers in _FIELDS.items():
        assert markers.keys() <= {field.name for field in dataclasses.fields(classes[name])}
