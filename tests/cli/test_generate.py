import errno
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
import torch

import fauxley
from fauxley.cli.main import main
from fauxley.errors import FauxleyError
from fauxley.rendering import batches as rendering
from fauxley.rendering import folder as sounds
from fauxley.rendering.output import Output
from fauxley.signal.cleaning import Cleaning
from fauxley.sounds.writing import write_audio
from fauxley.storage import hold_folder

from .conftest import train_arguments

pytestmark = pytest.mark.slow


def generate(run: Path, out: Path, *options: str) -> int:
    return main(["generate", str(run), "--out", str(out), "--device", "cpu", "--quiet", *options])


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16", always_2d=True)[0].astype(int)


def test_files_are_named_by_seed_and_come_with_latents_sheet_and_sidecars(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sounds"
    assert generate(run, out, "--count", "3", "--seed", "7") == 0
    names = sorted(path.name for path in out.iterdir())
    sounds = [f"seed-0000000{seed}" for seed in (7, 8, 9)]
    assert names == sorted(
        [f"{name}.{kind}" for name in sounds for kind in ("wav", "json")]
        + ["latents.npy", "sheet.png", "generate.json"]
    )
    facts = json.loads((out / "seed-00000008.json").read_text())
    latents = np.load(out / "latents.npy")
    assert latents.shape == (3, 100)
    assert latents.dtype == np.float32
    assert facts["seed"] == 8
    assert facts["step"] == 3
    assert facts["license_of_training_data"] == "CC0-1.0"
    assert np.float32(facts["latent"]).tolist() == latents[1].tolist()


def test_a_seed_is_the_same_sound_however_it_is_asked_for(run: Path, tmp_path: Path) -> None:
    assert generate(run, tmp_path / "many", "--count", "6", "--batch-size", "5") == 0
    assert generate(run, tmp_path / "one", "--count", "1", "--seed", "4") == 0
    latents = str(tmp_path / "many" / "latents.npy")
    assert generate(run, tmp_path / "again", "--latents", latents, "--batch-size", "1") == 0
    many, one = read(tmp_path / "many" / "seed-00000004.wav"), read(tmp_path / "one" / "seed-00000004.wav")
    again = read(tmp_path / "again" / "latent-00004.wav")
    in_python = fauxley.load(run).generate(1, seed=4).numpy()[0].T * 32768
    assert np.abs(many).max() > 100
    for other in (one, again, in_python):
        # One step: sums of another order round differently.
        assert np.abs(many - other).max() <= 1


@pytest.mark.parametrize(
    ("options", "kind", "subtype", "rate"),
    [
        (["--format", "flac", "--subtype", "PCM_24"], "flac", "PCM_24", 16000),
        (["--subtype", "FLOAT", "--sample-rate", "44100"], "wav", "FLOAT", 44100),
        (["--format", "ogg"], "ogg", "VORBIS", 16000),
    ],
)
def test_formats_and_rates(run: Path, tmp_path: Path, options: list[str], kind: str, subtype: str, rate: int) -> None:
    assert generate(run, tmp_path / "out", "--count", "1", "--no-sheet", "--no-sidecars", *options) == 0
    info = soundfile.info(tmp_path / "out" / f"seed-00000000.{kind}")
    assert (info.subtype, info.samplerate) == (subtype, rate)
    assert info.frames == pytest.approx(4096 * rate / 16000, abs=1)
    assert not (tmp_path / "out" / "sheet.png").exists()
    assert not (tmp_path / "out" / "seed-00000000.json").exists()


def test_clean_makes_every_sound_peak_alike_and_end_in_silence(run: Path, tmp_path: Path) -> None:
    assert generate(run, tmp_path / "out", "--count", "4", "--clean", "--cleaning.peak-dbfs", "-3") == 0
    for path in (tmp_path / "out").glob("*.wav"):
        audio = read(path)
        assert np.abs(audio).max() / 32768 == pytest.approx(10 ** (-3 / 20), abs=1e-3)
        assert np.abs(audio[-1]).max() <= 1


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
@pytest.mark.parametrize(
    "form", [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16"), ("ogg", "VORBIS")]
)
@pytest.mark.parametrize("normalize", ["peak", "loudness"])
def test_whatever_decodes_a_cleaned_sound_finds_no_peak_above_what_was_promised(
    tmp_path: Path, rate: int, form: tuple[str, str], normalize: Literal["peak", "loudness"]
) -> None:
    noise = np.random.default_rng(rate).standard_normal((2, 4096)) * np.exp(-np.arange(4096) / 800)
    cleaning = Cleaning(normalize=normalize, peak_dbfs=-1.0, loudness_lkfs=0.0)
    output = Output(format=form[0], subtype=form[1], sample_rate=rate, clean=True, cleaning=cleaning)  # type: ignore[arg-type]
    request = rendering.SoundRequest(torch.zeros(1), "sound", {})
    rendering.Destination(tmp_path, output, {}).write([request], noise[None], 16000)
    audio, written_rate = soundfile.read(tmp_path / f"sound.{form[0]}")
    assert written_rate == rate
    level_db = 20 * np.log10(np.abs(audio).max())
    assert (-3.0 if form[0] == "ogg" else -1.01) < level_db <= -1.0  # a lossy codec does as it likes with noise


def test_a_sheet_shows_what_was_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[np.ndarray, int]] = []

    def record(path: Path, rows: dict[str, np.ndarray], rate: int, captions: object) -> None:
        drawn.append((rows["generated"], rate))

    monkeypatch.setattr(sounds, "write_sheet", record)
    assert generate(run, tmp_path / "out", "--count", "3", "--clean", "--sample-rate", "32k") == 0
    ((clips, rate),) = drawn
    assert rate == 32_000
    for seed, clip in enumerate(clips):
        written = read(tmp_path / "out" / f"seed-{seed:08d}.wav").T / 32768
        np.testing.assert_array_equal(clip[:, : written.shape[1]], written.astype(np.float32))
        assert not clip[:, written.shape[1] :].any()


def test_morph_begins_and_ends_with_its_seeds(run: Path, tmp_path: Path) -> None:
    arguments = ["morph", str(run), "--out", str(tmp_path / "m"), "--seeds", "3", "9", "5", "--count", "5", "--quiet"]
    assert main(arguments) == 0
    assert generate(run, tmp_path / "g", "--seed", "3", "--count", "7") == 0
    latents = np.load(tmp_path / "m" / "latents.npy")
    for place, seed in ((0, 3), (2, 9), (4, 5)):
        assert latents[place].tolist() == np.load(tmp_path / "g" / "latents.npy")[seed - 3].tolist()
        morphed, single = (read(tmp_path / name) for name in (f"m/morph-000{place}.wav", f"g/seed-0000000{seed}.wav"))
        assert np.abs(morphed - single).max() <= 1
    np.testing.assert_allclose(latents[1], (latents[0] + latents[2]) / 2, atol=1e-6)


def test_a_spherical_morph_keeps_the_length_of_the_latent(run: Path, tmp_path: Path) -> None:
    arguments = ["morph", str(run), "--out", str(tmp_path / "m"), "--seeds", "3", "9", "--path", "spherical", "--quiet"]
    assert main(arguments) == 0
    lengths = np.linalg.norm(np.load(tmp_path / "m" / "latents.npy"), axis=1)
    assert lengths.min() > 0.99 * min(lengths[0], lengths[-1])


def test_nothing_is_replaced_unasked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(run, tmp_path / "out", "--count", "1") == 0
    before = (tmp_path / "out" / "latents.npy").read_bytes()
    assert generate(run, tmp_path / "out", "--count", "1", "--seed", "5") == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert (tmp_path / "out" / "latents.npy").read_bytes() == before
    assert generate(run, tmp_path / "out", "--count", "1", "--seed", "5", "--overwrite") == 0
    assert (tmp_path / "out" / "latents.npy").read_bytes() != before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("options", [[], ["--listing", "--no-sheet"], ["--clean", "--format", "flac"]])
def test_what_was_interrupted_goes_on_and_ends_in_the_same_bytes(
    run: Path, tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = "flac" if "flac" in options else "wav"
    options = ["--count", "40", "--batch-size", "3", *options]
    assert generate(run, tmp_path / "whole", *options) == 0
    written = []
    original = write_audio

    def interrupted(path: Path, *args: object, **options: object) -> None:
        written.append(path.name)
        if len(written) == 17:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        original(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(rendering, "write_audio", interrupted)
    assert generate(run, tmp_path / "out", *options) == 1
    assert "No space left on device" in capsys.readouterr().err
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert 10 < len(there) < 100
    assert generate(run, tmp_path / "out", *options, "--seed", "1") == 2
    assert "first seed" in capsys.readouterr().err
    written.clear()
    written += [""] * 17
    assert generate(run, tmp_path / "out", *options) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert 17 < len(written) < 17 + 40
    assert (tmp_path / "out" / f"seed-00000000.{kind}").stat().st_mtime_ns == there[f"seed-00000000.{kind}"]
    written.clear()
    assert generate(run, tmp_path / "out", *options) == 0
    assert written == []


def test_killed_it_goes_on(run: Path, tmp_path: Path) -> None:
    options = ["--count", "60", "--batch-size", "2", "--no-sheet"]
    assert generate(run, tmp_path / "whole", *options) == 0
    code = "import sys; from fauxley.cli.main import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["generate", str(run), "--out", str(tmp_path / "out"), "--device", "cpu", "--quiet", *options]
    with subprocess.Popen([sys.executable, "-c", code, *arguments]) as process:
        while not list((tmp_path / "out").glob("seed-*.json")):
            time.sleep(0.005)
        process.kill()
    assert generate(run, tmp_path / "out", *options) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_job_is_known_by_its_model_and_options(
    run: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert main(train_arguments(dataset, other, "--seed", "5")) == 0
    assert generate(run, tmp_path / "out", "--count", "2") == 0
    before = contents(tmp_path / "out")
    for model, options, what in (
        (other, [], "model"),
        (run, ["--clean"], "options"),
        (run, ["--count", "3"], "count"),
    ):
        assert generate(model, tmp_path / "out", *["--count", "2", *options]) == 2
        assert f"another {what}" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


def test_two_at_once_do_not_mix(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate(run, tmp_path / "out", "--count", "1") == 0
    with hold_folder(tmp_path / "out"):
        assert generate(run, tmp_path / "out", "--count", "1") == 1
    assert "another process" in capsys.readouterr().err
    assert generate(run, tmp_path / "out", "--count", "1") == 0


@pytest.mark.parametrize("options", [[], ["--listing"]])
def test_what_failed_before_its_first_sound_stands_in_no_way(
    run: Path, tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise FauxleyError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(rendering, "compute", fail)
        assert generate(run, tmp_path / "out", "--count", "5", *options) == 1
    assert not (tmp_path / "out").exists()
    assert generate(run, tmp_path / "out", "--count", "2") == 0


def test_a_listing_says_what_the_sidecars_would(run: Path, tmp_path: Path) -> None:
    assert generate(run, tmp_path / "each", "--count", "3") == 0
    assert generate(run, tmp_path / "one", "--count", "3", "--listing") == 0
    lines = [json.loads(line) for line in (tmp_path / "one" / "sounds.jsonl").read_text().splitlines()]
    for line in lines:
        sidecar = json.loads((tmp_path / "each" / line.pop("file")).with_suffix(".json").read_text())
        assert line == sidecar
    assert len(lines) == 3
    assert not list((tmp_path / "one").glob("seed-*.json"))


@pytest.mark.parametrize(
    ("options", "code", "hint"),
    [
        (["--count", "-3"], 2, "at least 1"),
        (["--seed", "-1"], 2, "not be negative"),
        (["--batch-size", "0"], 2, "at least 1"),
        (["--sample-rate", "7"], 2, "384000"),
        (["--format", "wav", "--subtype", "VORBIS"], 2, "PCM_16"),
        (["--latents", "nowhere.npy"], 2, "nowhere.npy"),
        (["--latents", "{text}"], 1, "not a .npy file"),
        (["--latents", "{shape}"], 2, "(N, 100)"),
        (["--latents", "{objects}"], 1, "not a .npy file"),
        (["--latents", "{shape}", "--count", "3"], 2, "not both"),
    ],
)
def test_bad_input_is_one_line(
    run: Path, tmp_path: Path, options: list[str], code: int, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "shape.npy", np.zeros((2, 7), np.float32))
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    options = [
        option.format(**{name: tmp_path / f"{name}.npy" for name in ("text", "shape", "objects")}) for option in options
    ]
    assert generate(run, tmp_path / "out", *options) == code
    captured = capsys.readouterr().err.strip()
    assert hint in captured
    assert len(captured.splitlines()) == 1


def test_an_out_folder_that_cannot_be_made_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert generate(run, tmp_path / "file" / "out") == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert generate(run, tmp_path / "file") == 2
    assert (tmp_path / "file").read_text() == "in the way"


def test_latents_that_are_none_are_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 100), }\n"
    promises = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    for name, content in {"huge": promises, "parser": b"\x93NUMPY\x01\x00\x10\x00" + 16 * b"("}.items():
        (tmp_path / f"{name}.npy").write_bytes(content)
    np.save(tmp_path / "none.npy", np.zeros((0, 100), np.float32))
    np.save(tmp_path / "beyond.npy", np.full((2, 100), 1e300))
    for name in ("huge", "parser", "none", "beyond", "missing"):
        assert generate(run, tmp_path / "out", "--latents", str(tmp_path / f"{name}.npy")) in (1, 2), name
        assert capsys.readouterr().err.count("\n") == 1, name
    assert not (tmp_path / "out").exists()


def test_latents_of_another_byte_order_are_the_same_sounds(run: Path, tmp_path: Path) -> None:
    assert generate(run, tmp_path / "a", "--count", "2") == 0
    np.save(tmp_path / "z.npy", np.load(tmp_path / "a" / "latents.npy").astype(">f8"))
    assert generate(run, tmp_path / "b", "--latents", str(tmp_path / "z.npy")) == 0
    assert (read(tmp_path / "a" / "seed-00000001.wav") == read(tmp_path / "b" / "latent-00001.wav")).all()


def test_a_folder_whose_name_is_no_text(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "caf\udce9"
    code = "import sys; from fauxley.cli.main import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["generate", str(run), "--out", str(out), "--count", "1"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"caf\\udce9" in done.stdout
    assert (out / "seed-00000000.wav").is_file()


def test_bfloat16_makes_nearly_the_same_sounds_says_so_and_is_not_mixed_with_others(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(run, tmp_path / "exact", "--count", "3") == 0
    assert generate(run, tmp_path / "narrow", "--count", "3", "--precision", "bfloat16") == 0
    exact, narrow = (read(tmp_path / name / "seed-00000002.wav") for name in ("exact", "narrow"))
    assert 0 < np.abs(exact - narrow).max() < 0.05 * np.abs(exact).max()
    assert json.loads((tmp_path / "narrow" / "seed-00000002.json").read_text())["precision"] == "bfloat16"
    assert generate(run, tmp_path / "narrow", "--count", "3", "--precision", "float32") == 2
    assert "another options" in capsys.readouterr().err


def test_what_was_begun_in_a_precision_goes_on_in_it_on_any_machine(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAUXLEY_PRECISION", "bfloat16")
    assert generate(run, tmp_path / "out", "--count", "3") == 0
    made = read(tmp_path / "out" / "seed-00000002.wav")
    (tmp_path / "out" / "seed-00000002.wav").unlink()
    monkeypatch.setenv("FAUXLEY_PRECISION", "float32")
    assert generate(run, tmp_path / "out", "--count", "3") == 0
    assert np.array_equal(read(tmp_path / "out" / "seed-00000002.wav"), made)
    assert generate(run, tmp_path / "new", "--count", "3") == 0
    assert json.loads((tmp_path / "new" / "seed-00000002.json").read_text())["precision"] == "float32"
