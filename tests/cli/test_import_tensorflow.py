import json
import os
import pickle
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import fauxley
from fauxley.cli.main import main
from fauxley.interop.variables import specgan_variables, wavegan_variables
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.wavegan import WaveGAN

from ..interop.bundles import block, entry, header, table, to_tensorflow, write_bundle  # noqa: TID252 - importlib mode has no package `tests`

pytestmark = pytest.mark.slow

PARITY = Path(os.environ.get("FAUXLEY_PARITY_DIR") or Path(__file__).parents[3] / "shared" / "parity") / "checkpoint"
SMALL = {"dim": 1, "latent_size": 3}
WAVEGANS = {
    "paper": WaveGAN(**SMALL),
    "stereo": WaveGAN(channels=2, kernel_length=24, **SMALL),
    "batch norm": WaveGAN(batch_norm=True, **SMALL),
    "nearest": WaveGAN(upsampling="nearest", batch_norm=True, **SMALL),
    "post filter": WaveGAN(post_filter_length=512, phase_shuffle=0, **SMALL),
    "32768": WaveGAN(clip_length=32768, upsampling="nearest", **SMALL),
    "65536": WaveGAN(clip_length=65536, channels=2, batch_norm=True, **SMALL),
    "one tap": WaveGAN(kernel_length=1, **SMALL),
}
SPECGANS = {
    "paper": SpecGAN(**SMALL),
    "batch norm": SpecGAN(batch_norm=True, kernel_length=4, **SMALL),
    "nearest": SpecGAN(upsampling="nearest", griffin_lim_iterations=3, **SMALL),
    "linear": SpecGAN(upsampling="linear", batch_norm=True, **SMALL),
    "cubic": SpecGAN(upsampling="cubic", **SMALL),
    "one tap": SpecGAN(kernel_length=1, **SMALL),
}
TENSORFLOW_NAMES = {"zeros": "zeros", "nearest": "nn", "linear": "linear", "cubic": "cubic"}
MOMENTS = (np.linspace(-9, -1, 129).astype(np.float32), np.linspace(3, 1, 129).astype(np.float32))


def variables_of(architecture: WaveGAN | SpecGAN) -> tuple[torch.nn.Module, dict[str, np.ndarray]]:
    """A generator with weights that differ from place to place, and its official variables."""
    generator = architecture.generator(Draws(1)).eval()
    draws = Draws(2)
    state = generator.state_dict()
    names = (wavegan_variables if isinstance(architecture, WaveGAN) else specgan_variables)(architecture)[0]
    for name in names:
        values = draws.uniform(state[name].shape, 0.4)
        state[name].copy_(values.abs() + 0.1 if name.endswith(("variance", "var")) else values)
    variables = {
        variable: np.ascontiguousarray(to_tensorflow(state[name], variable)) for name, variable in names.items()
    }
    critic = "conv1d" if isinstance(architecture, WaveGAN) else "conv2d"
    slots = {f"{variable}/Adam": np.zeros_like(value) for variable, value in variables.items()}
    others = {f"D/downconv_0/{critic}/bias": np.zeros(1, "<f4"), "beta1_power": np.array(0.5, "<f4")}
    return generator, variables | slots | others | {"global_step": np.array(42, "<i8")}


def write_official(folder: Path, architecture: WaveGAN | SpecGAN, arguments: bool = True) -> torch.nn.Module:
    """What the official training leaves behind."""
    generator, variables = variables_of(architecture)
    write_bundle(folder / "model.ckpt-42", variables)
    upsampling = TENSORFLOW_NAMES[architecture.upsampling]
    if isinstance(architecture, WaveGAN):
        values = {
            "data_slice_len": architecture.clip_length,
            "wavegan_genr_upsample": upsampling,
            "wavegan_disc_phaseshuffle": architecture.phase_shuffle,
        }
    else:
        (folder / "moments.pkl").write_bytes(pickle.dumps(MOMENTS, 2))
        values = {"specgan_ngl": architecture.griffin_lim_iterations, "specgan_genr_upsample": upsampling}
    if arguments:
        lines = [f"{key},{value}" for key, value in {"data_sample_rate": 22050, **values}.items()]
        (folder / "args.txt").write_text("\n".join(lines))
    return generator


def run(*arguments: object) -> int:
    return main(["import-tensorflow", *map(str, arguments)])


@pytest.mark.parametrize("architecture", [*WAVEGANS.values(), *SPECGANS.values()], ids=[*WAVEGANS, *SPECGANS])
def test_every_architecture_comes_back(tmp_path: Path, architecture: WaveGAN | SpecGAN) -> None:
    generator = write_official(tmp_path / "train", architecture)
    assert run(tmp_path / "train", "--out", tmp_path / "model") == 0
    model = fauxley.load(tmp_path / "model")
    assert model.architecture == architecture
    assert model.sample_rate == 22050
    assert model.provenance.preset == f"official-{type(architecture).__name__.lower()}"
    assert model.provenance.step == 42
    z = torch.linspace(-1, 1, 6).view(2, 3)
    with torch.inference_mode():
        torch.testing.assert_close(model.generator.eval()(z), generator(z), rtol=1e-5, atol=1e-6)
    audio = model.generate(latents=z)
    assert audio.shape == (2, architecture.channels, architecture.clip_length)
    assert audio.std() > 0
    if isinstance(architecture, SpecGAN):
        for ours, theirs in zip((model.representation.mean, model.representation.std), MOMENTS, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_what_was_found_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_official(tmp_path / "train", WAVEGANS["65536"])
    assert run(tmp_path / "train", "--out", tmp_path / "model") == 0
    printed = capsys.readouterr().out
    for part in ("WaveGAN of step 42", "65536 samples, 2 channels, 22050 Hz", "d = 1", "batch norm", "verified"):
        assert part in printed
    command = printed.splitlines()[-1].partition("fauxley ")[2].replace("new-sounds", str(tmp_path / "sounds"))
    assert main(command.replace("20", "1").split()) == 0
    assert run(tmp_path / "train", "--out", tmp_path / "quiet", "--quiet") == 0
    assert "WaveGAN" not in capsys.readouterr().out


def test_raw_weights_of_the_web_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator, variables = variables_of(WAVEGANS["paper"])
    folder = tmp_path / "weights"
    folder.mkdir()
    manifest = {}
    for name, value in variables.items():
        value.tofile(folder / name.replace("/", "_"))
        manifest[name] = {"filename": name.replace("/", "_"), "shape": list(value.shape)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert run(folder, "--out", tmp_path / "model") == 0
    assert "no checksums" in capsys.readouterr().out
    z = torch.ones(1, 3)
    with torch.inference_mode():
        torch.testing.assert_close(fauxley.load(tmp_path / "model").generator(z), generator(z), rtol=1e-5, atol=1e-6)


def test_a_length_that_nothing_tells_must_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_official(tmp_path / "train", WAVEGANS["32768"], arguments=False)
    assert run(tmp_path / "train", "--out", tmp_path / "none") == 1
    assert "32768 or 65536" in (message := capsys.readouterr().err)
    assert "clip_length" in message
    assert not (tmp_path / "none").exists()
    for length in (32768, 65536):
        assert run(tmp_path / "train", "--out", tmp_path / str(length), "--clip-length", length) == 0
        assert fauxley.load(tmp_path / str(length)).architecture.clip_length == length
    assert run(tmp_path / "train", "--out", tmp_path / "none", "--clip-length", 16384) == 2


def test_a_resize_that_nothing_tells_is_nearest_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_official(tmp_path / "train", SPECGANS["cubic"], arguments=False)
    assert run(tmp_path / "train", "--out", tmp_path / "assumed") == 0
    assert "assuming nearest" in capsys.readouterr().out
    assert asdict(fauxley.load(tmp_path / "assumed").architecture)["upsampling"] == "nearest"
    assert run(tmp_path / "train", "--out", tmp_path / "told", "--upsampling", "cubic", "--sample-rate", 8000) == 0
    assert "note" not in capsys.readouterr().out
    told = fauxley.load(tmp_path / "told")
    assert (asdict(told.architecture)["upsampling"], told.sample_rate) == ("cubic", 8000)


def test_a_specgan_needs_its_moments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_official(tmp_path / "train", SPECGANS["paper"])
    moved = (tmp_path / "train" / "moments.pkl").rename(tmp_path / "elsewhere.pkl")
    assert run(tmp_path / "train", "--out", tmp_path / "model") == 2
    assert "--moments" in capsys.readouterr().err
    moved.with_name("evil.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path).encode() + b"/executed'\ntR.")
    assert run(tmp_path / "train", "--out", tmp_path / "model", "--moments", tmp_path / "evil.pkl") == 1
    assert "nothing was executed" in capsys.readouterr().err
    assert not (tmp_path / "executed").exists()
    assert run(tmp_path / "train", "--out", tmp_path / "model", "--moments", moved) == 0


@pytest.mark.parametrize(
    ("kind", "options", "code", "hint"),
    [
        ("wavegan", ["--moments", "x.pkl"], 2, "WaveGAN"),
        ("wavegan", ["--upsampling", "linear"], 2, "WaveGAN"),
        ("wavegan", ["--clip-length", "12345"], 2, "16384"),
        ("wavegan", ["--sample-rate", "5"], 2, "384000"),
        ("specgan", ["--clip-length", "32768"], 2, "SpecGAN"),
        ("specgan", ["--upsampling", "linear"], 2, "transposed"),
        ("specgan", ["--moments", "nowhere.pkl"], 2, "nowhere.pkl"),
        ("nowhere", [], 2, "nowhere"),
        ("", [], 1, "no checkpoint"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path, kind: str, options: list[str], code: int, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_official(tmp_path / "wavegan", WAVEGANS["paper"])
    write_official(tmp_path / "specgan", SPECGANS["paper"])
    assert run(tmp_path / kind, "--out", tmp_path / "model", *options) == code
    message = capsys.readouterr().err.strip()
    assert hint in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "model").exists()


def test_nothing_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_official(tmp_path / "train", WAVEGANS["paper"])
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "train", tmp_path / "file"):
        assert run(tmp_path / "train", "--out", out) == 2
        captured = capsys.readouterr().err
        assert str(out) in captured
        assert "another name" in captured or "--out" in captured
    assert (tmp_path / "file").read_text() == "mine"


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, "<f4")


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"G/upconv_0/conv2d_transpose/kernel": None}, "no G/upconv_0"),
        ({"G/upconv_2/conv2d_transpose/kernel": None}, "2 layers"),
        ({"G/upconv_2/conv2d_transpose/bias": None}, "lacks G/upconv_2"),
        ({"G/z_project/dense/kernel": None}, "G/z_project"),
        ({"G/z_project/dense/kernel": zeros(3)}, "G/z_project"),
        ({"G/z_project/dense/kernel": zeros(0, 256)}, "latent_size = 0"),
        ({"G/z_project/dense/bias": zeros(255)}, "(255,)"),
        ({"G/z_project/dense/bias": np.full(256, np.nan, "<f4")}, "diverged"),
        ({"G/z_project/dense/bias": np.full(256, np.inf, "<f4")}, "diverged"),
        ({"G/z_project/batch_normalization/gamma": zeros(16)}, "lacks"),
        ({"G/upconv_4/conv2d_transpose/kernel": zeros(1, 25, 1, 5000)}, "dim = 5000"),
        ({"G/upconv_4/conv2d_transpose/kernel": zeros(1, 25, 1, 4000)}, "the others want"),
        ({"G/upconv_4/conv2d_transpose/kernel": zeros(1, 25, 0, 1)}, "channels = 0"),
        ({"G/upconv_4/conv2d_transpose/kernel": zeros(25, 1)}, "(25, 1)"),
        ({"G/upconv_5/conv2d_transpose/kernel": zeros(1), "G/upconv_6/conv2d_transpose/kernel": zeros(1)}, "(1,)"),
        ({"G/pp_filt/conv1d/kernel": zeros()}, "G/pp_filt"),
        ({"G/pp_filt/conv1d/kernel": zeros(4, 1, 2)}, "G/pp_filt"),
    ],
)
def test_variables_of_something_else_are_an_error(
    tmp_path: Path, changes: dict[str, np.ndarray | None], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, variables = variables_of(WAVEGANS["paper"])
    changed = {name: value for name, value in (variables | changes).items() if value is not None}
    write_bundle(tmp_path / "model.ckpt-1", changed)
    assert run(tmp_path, "--out", tmp_path / "model") == 1
    message = capsys.readouterr().err.strip()
    assert hint in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("channels", [2, 6])
def test_a_post_filter_that_mixes_channels_is_refused_in_words(
    tmp_path: Path, channels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The official filter goes from all channels to one; ours from each to itself."""
    _, variables = variables_of(WaveGAN(channels=channels, phase_shuffle=0, **SMALL))
    write_bundle(tmp_path / "model.ckpt-1", variables | {"G/pp_filt/conv1d/kernel": zeros(512, channels, 1)})
    assert run(tmp_path, "--out", tmp_path / "model") == 1
    message = capsys.readouterr().err.strip()
    assert f"mixes {channels} channels into one" in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("line", ["data_sample_rate,x", "data_sample_rate,-1", "data_sample_rate," + "9" * 9000])
def test_arguments_that_make_no_sense_are_an_error(
    tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_official(tmp_path, WAVEGANS["paper"], arguments=False)
    (tmp_path / "args.txt").write_text(line)
    assert run(tmp_path, "--out", tmp_path / "model") == 1
    assert "data_sample_rate" in capsys.readouterr().err


def test_shapes_alone_take_no_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few kilobytes that claim a model of terabytes."""
    names = [f"G/upconv_{layer}/conv2d_transpose/kernel" for layer in range(5)]
    pairs = [(name.encode(), entry(1, (1, 4096, 0, 4096), 0, 0, 0)) for name in names]
    pairs.append((b"G/z_project/dense/kernel", entry(1, (65536, 0), 0, 0, 0)))
    (tmp_path / "model.ckpt-1.index").write_bytes(table(block([(b"", header()), *pairs])))
    (tmp_path / "model.ckpt-1.data-00000-of-00001").write_bytes(b"")
    assert run(tmp_path, "--out", tmp_path / "model") == 1
    assert "channels = 0" in capsys.readouterr().err


def test_fuzzed_checkpoints_are_imported_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_official(tmp_path / "train", SPECGANS["paper"])
    draws = random.Random(6)
    files = sorted((tmp_path / "train").iterdir())
    outcomes = {0: 0, 1: 0}
    for number in range(150):
        file = draws.choice(files)
        good = file.read_bytes()
        place = draws.randrange(len(good))
        file.write_bytes(draws.choice([good[:place], good[:place] + draws.randbytes(2) + good[place + 2 :]]))
        code = run(tmp_path / "train", "--out", tmp_path / str(number), "--quiet")
        outcomes[code] += 1
        assert len(capsys.readouterr().err.strip().splitlines()) == code
        file.write_bytes(good)
    assert min(outcomes.values()) > 0


@pytest.mark.parametrize("kind", ["wavegan", "specgan"])
def test_parity_an_official_checkpoint_gives_the_official_sounds(tmp_path: Path, kind: str) -> None:
    if not (PARITY / f"{kind}_expected.npz").is_file():
        pytest.skip(f"no official checkpoint in {PARITY}; set FAUXLEY_PARITY_DIR")
    expected = np.load(PARITY / f"{kind}_expected.npz", allow_pickle=False)
    assert run(PARITY / kind, "--out", tmp_path / "model", "--quiet") == 0
    model = fauxley.load(tmp_path / "model")
    assert model.provenance.step == expected["global_step"]
    assert ("ngl" not in expected) or asdict(model.architecture)["griffin_lim_iterations"] == expected["ngl"]
    np.save(tmp_path / "z.npy", expected["z"])
    out = ["--out", str(tmp_path / "sounds"), "--subtype", "FLOAT", "--no-sheet", "--device", "cpu", "--quiet"]
    assert main(["generate", str(tmp_path / "model"), "--latents", str(tmp_path / "z.npy"), *out]) == 0
    files = sorted((tmp_path / "sounds").glob("*.wav"))
    audio = np.stack([soundfile.read(file, dtype="float32", always_2d=True)[0] for file in files])  # (B, T, C)
    assert audio.shape == expected["G_z"].shape
    if "G_z_norm" in expected:  # Griffin-Lim amplifies rounding: 60 dB after 16 iterations
        with torch.inference_mode():
            features = model.generator.eval()(torch.from_numpy(expected["z"]))
        images = features.transpose(1, 3).numpy()  # (B, frames, bins, 1)
        np.testing.assert_allclose(images, expected["G_z_norm"], rtol=0, atol=1e-5)
        error = audio.astype(np.float64) - expected["G_z"]
        assert np.square(expected["G_z"].astype(np.float64)).sum() > 1e6 * np.square(error).sum()
    else:
        np.testing.assert_allclose(audio, expected["G_z"], rtol=0, atol=1e-5)
    integers = np.trunc(np.clip(audio * np.float32(32767), -32767, 32767)).astype(int)
    assert np.abs(integers - expected["G_z_int16"]).max() <= 1
