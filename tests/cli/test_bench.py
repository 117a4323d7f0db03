import dataclasses
import json
from pathlib import Path

import pytest

from fauxley.cli.main import main
from fauxley.models.wavenet import WaveNet
from fauxley.training.presets import PRESETS

pytestmark = pytest.mark.slow


def test_bench_prints_and_writes_figures_for_each_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text, config = PRESETS["wavenet-small"]
    small = dataclasses.replace(config, architecture=WaveNet(8192, layers=6, cycle=6, skip_dim=4))
    monkeypatch.setitem(PRESETS, "wavenet-small", (text, small))
    out = tmp_path / "bench.json"
    arguments = [
        "bench",
        "--presets",
        "wavegan-tiny",
        "wavenet-small",
        "--dim",
        "1",
        "--batch-size",
        "2",
        "--steps",
        "1",
    ]
    assert main([*arguments, "--device", "cpu", "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    figures = json.loads(out.read_text())["figures"]
    assert [entry["preset"] for entry in figures] == ["wavegan-tiny", "wavenet-small"]
    for entry in figures:
        assert entry["preset"] in printed
        assert (entry["dim"], entry["batch_size"]) == (1, 2)
        assert min(entry["step_seconds"], entry["single_seconds"], entry["clips_per_second"]) > 0
        assert entry["clip_seconds"] in (0.512, 1.024)
        assert 0 < entry["idle_megabytes"] < min(entry["training_megabytes"], entry["generating_megabytes"])
    gan, wavenet = figures
    assert gan["naive_single_seconds"] is None
    assert min(gan["narrow_single_seconds"], gan["narrow_clips_per_second"]) > 0
    assert wavenet["narrow_single_seconds"] is None
    assert wavenet["naive_single_seconds"] > wavenet["single_seconds"] > gan["single_seconds"]
    assert (gan["step_clips"], wavenet["step_clips"]) == (4, 2)  # two critic updates, one of the WaveNet


@pytest.mark.parametrize(
    ("options", "hint"),
    [(["--presets", "wavegan-big"], "there are wavegan"), (["--steps", "0"], "at least 1"), (["--dim", "0"], "dim")],
)
def test_bad_input_is_one_line(options: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *options]) == 2
    error = capsys.readouterr().err.strip()
    assert hint in error
    assert len(error.splitlines()) == 1
