"""Which precision is chosen, on machines of either kind, and what is kept of the measure."""

import json
import os
import subprocess
import sys

import pytest
import torch

from fauxley.errors import UsageError
from fauxley.models import precision
from fauxley.models.precision import choose_precision, has_bfloat16, measure_gain

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _undecided(monkeypatch, tmp_path):
    monkeypatch.delenv("FAUXLEY_PRECISION", raising=False)
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))
    precision._gain.cache_clear()
    yield
    precision._gain.cache_clear()


@pytest.fixture
def machine(monkeypatch):
    """Makes a machine with or without instructions for bfloat16, that much faster by it."""

    def make(capable, gain):
        measures = []
        monkeypatch.setattr(precision, "has_bfloat16", lambda device: capable)
        monkeypatch.setattr(precision, "measure_gain", lambda device: measures.append(gain) or gain)
        return measures

    return make


@pytest.mark.parametrize(
    ("capable", "gain", "chosen"),
    [(True, 2.0, "bfloat16"), (True, 1.05, "float32"), (True, 0.1, "float32"), (False, 3.0, "float32")],
)
def test_auto_is_bfloat16_only_where_there_are_instructions_and_they_are_fast(machine, capable, gain, chosen):
    machine(capable, gain)
    assert choose_precision("auto", CPU) == precision.Choice(chosen)


def test_bfloat16_by_name_is_done_where_it_is_slow_with_a_warning_of_how_slow(machine):
    machine(False, 1 / 17)
    choice = choose_precision("bfloat16", CPU)
    assert choice.precision == "bfloat16"
    assert "17 times as long as float32" in choice.warning


def test_bfloat16_by_name_where_it_is_fast_and_float32_anywhere_are_done_in_silence(machine):
    machine(True, 2.0)
    assert choose_precision("bfloat16", CPU) == precision.Choice("bfloat16")
    machine(False, 0.1)
    assert choose_precision("float32", CPU) == precision.Choice("float32")


def test_no_other_precision(machine, monkeypatch):
    for asked, of_machine in (("float16", ""), ("auto", "half")):
        monkeypatch.setenv("FAUXLEY_PRECISION", of_machine)
        with pytest.raises(UsageError, match="auto, float32 or bfloat16; got"):
            choose_precision(asked, CPU)


def test_the_environment_can_say_what_auto_is_without_a_measure(machine, monkeypatch):
    measures = machine(False, 0.1)
    monkeypatch.setenv("FAUXLEY_PRECISION", "bfloat16")
    assert choose_precision("auto", CPU) == precision.Choice("bfloat16")
    assert not measures


def test_the_measure_is_taken_once_and_kept_for_this_machine_and_pytorch(machine, tmp_path, monkeypatch):
    measures = machine(True, 2.0)
    for _ in range(2):
        choose_precision("auto", CPU)
        precision._gain.cache_clear()  # another process
    assert measures == [2.0]
    (kept,) = json.loads((tmp_path / "cache" / "measures" / "precision.json").read_text())
    assert torch.__version__ in kept
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    choose_precision("auto", CPU)
    assert len(measures) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"a": "b"}', "null", "[" * 10_000, '{"PyTorch": 1e999}', "\0"])
def test_a_damaged_record_is_measured_anew(machine, tmp_path, content):
    machine(True, 2.0)
    file = tmp_path / "cache" / "measures" / "precision.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert choose_precision("auto", CPU).precision == "bfloat16"
    assert list(json.loads(file.read_text()).values())[-1] == 2.0


def test_where_nothing_can_be_kept_it_is_measured_each_time(machine, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "file" / "cache"))
    measures = machine(True, 2.0)
    for _ in range(2):
        assert choose_precision("auto", CPU).precision == "bfloat16"
        precision._gain.cache_clear()
    assert len(measures) == 2


@pytest.mark.parametrize("isa", ["SSE41", "AVX2", "AVX2_VNNI", "AVX512_CORE", "avx512_core_vnni"])
@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_what_onednn_must_not_use_is_not_there(isa, variable, monkeypatch):
    monkeypatch.setenv(variable, isa)
    assert not has_bfloat16(CPU)


def test_measuring_gives_a_number_and_changes_nothing():
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    with torch.inference_mode():
        assert 0.001 < measure_gain(CPU) < 1000
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_networks_and_packing_work_on_a_processor_with_avx2_only():
    """The selection that failed there. What PyTorch may use is settled when it starts, hence a process of its own."""
    selection = ["tests/kernels/test_packing.py", "tests/models/test_packed.py"]
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--no-cov", "-k", "plain or bfloat16 or batch"]
    done = subprocess.run(
        [*command, *selection], env={**os.environ, **limits}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
