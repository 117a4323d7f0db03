"""What strangers' folders can do: every kind that fauxley reads, damaged in thousands of ways, is read or refused.

    python benchmarks/fuzz_files.py                        # a minute for each kind of folder, a process for each
    python benchmarks/fuzz_files.py --seconds 5 --kinds study dataset
    python benchmarks/fuzz_files.py --kinds state --first 4711 --count 1     # one case again, as it was

A case takes a good folder and damages one of its files: a value of its JSON or CSV becomes a hostile one (beyond any
float, not a number, a path that leads out, nested without end, ...); bytes are changed, cut or inserted, half of the
time with checksums that are right again; or the file becomes a folder, a pipe, a hole in the disk, a link elsewhere.
Then the folder is used as a command would use it. It may be of use, or be refused by a `FauxleyError` of one line, or
by an `OSError`, of which the command line makes one.
Everything else is a bug: another exception, a crash, more than a minute, or more memory than a quarter of a gigabyte
beyond what reading the good folder takes.
"""

import argparse
import faulthandler
import hashlib
import importlib.util
import io
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.dataset.slicing import Slicing
from fauxley.errors import FauxleyError
from fauxley.evaluation.classifier.classifier import Classifier, Judgement
from fauxley.evaluation.classifier.network import ClassifierNetwork, ClassifierSettings, LogMel
from fauxley.evaluation.clips import DatasetClips
from fauxley.interop.tensorflow_checkpoint import open_checkpoint
from fauxley.listening.answers import Answers
from fauxley.listening.creation import StimulusSettings, assemble
from fauxley.listening.questions import Answer, Opinion
from fauxley.listening.results import evaluate
from fauxley.listening.study import Design, read_study
from fauxley.models.draws import Draws
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.models.wavenet import WaveNet
from fauxley.rendering.resuming import begin_or_resume
from fauxley.signal.drumkit import write_kit
from fauxley.training.checkpoint import read_state, write_state
from fauxley.training.config import TrainingConfig
from fauxley.training.log import Log
from fauxley.training.objectives import Relativistic
from fauxley.training.optimizers import Adam
from fauxley.training.preview import Previews
from fauxley.training.run import Run
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

_PATIENCE = 60  # seconds that a case may take
_MEMORY = 256  # MiB that it may take
TINY = WaveGAN(4096, dim=1, latent_size=4, batch_norm=True)
MODELS = {
    "wavegan": TINY,
    "specgan": SpecGAN(4096, dim=1, latent_size=4, batch_norm=True, inversion_dim=4, inversion_layers=2),
    "wavenet": WaveNet(256, dim=2, skip_dim=2, layers=3, cycle=2, levels=16),
}


# ---- good folders, and what is done with them ----


@dataclass(frozen=True)
class Kind:
    """A kind of folder: how a good one is made, and how it is used."""

    make: Callable[[Path], object]
    use: Callable[[Path], object]


def model(name: str) -> Kind:
    architecture = MODELS[name]

    def make(folder: Path) -> None:
        Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 8000).save(folder)

    def use(folder: Path) -> None:
        found = Synthesizer.from_pretrained(folder)
        if name == "wavenet":  # a clip of the longest that are allowed takes minutes
            found.generator(torch.zeros(1, 256))
        else:
            found.generate(1)

    return Kind(make, use)


def make_kit(folder: Path, **settings: Any) -> None:
    with tempfile.TemporaryDirectory() as kit:
        write_kit(Path(kit), per_instrument=2, sample_rate=8000, duration_seconds=0.3)
        pack(Path(kit), folder, PackSettings(sample_rate=8000, clip_length=2048), n_jobs=1, **settings)


def use_dataset(folder: Path) -> None:
    dataset = Dataset.open(folder)
    for slicing in (None, Slicing("random", 1024)):
        dataset.batch(1, 2, 0, slicing=slicing)
        dataset.batch(1, 2, 0, slicing=slicing, balance_labels=bool(dataset.labels))
        next(dataset.once(2, slicing))
    dataset.audio(0)
    dataset.clip_labels()
    _ = dataset.entries, dataset.licenses, dataset.skipped(), dataset.fingerprint(), dataset.duration_seconds


def make_run(folder: Path) -> None:
    run = Run(folder)
    run.begin(TrainingConfig("x", TINY, Relativistic()), "data")
    log = Log(run, 0, False)
    for step in range(3):
        log.numbers(step, {"critic_loss": 1.0, "generator_loss": float("nan"), "separation": 0.5})
    log.event(3, "warning: quiet")
    for step in (1, 2):
        run.save(step, _save_model, 3, 0)
    (folder / "best.json").write_text('{"checkpoint": "step-00000001", "metric": "kernel/log-mel", "value": 1.5}')


def _save_model(folder: Path) -> None:
    model("wavegan").make(folder / "x")
    for file in (folder / "x").iterdir():
        file.rename(folder / file.name)
    (folder / "x").rmdir()


def use_run(folder: Path) -> None:
    run = Run(folder)
    config, _ = run.read()
    run.begin(config, "data")
    log = Log(run, 2, False)
    Previews(run, log, np.zeros((1, 1, 4096), np.float32), 0)._draw_curves()
    Synthesizer.from_pretrained(folder).generate(1)


def new_state() -> TrainingState:
    return TrainingState.new(TINY, Adam(), True, 0, torch.device("cpu"))


def advance(state: TrainingState) -> None:
    train_step(state, Relativistic(), [torch.zeros(2, 1, 4096)], lambda update: Draws(0, update))


def make_state(folder: Path) -> None:
    folder.mkdir()
    state = new_state()
    advance(state)
    write_state(folder, state)


def use_state(folder: Path) -> None:
    state = new_state()
    read_state(folder, state)
    advance(state)


def make_classifier(folder: Path) -> None:
    settings = ClassifierSettings.suiting(8000, 2048, ("a", "b"), 2)
    judgement = Judgement(0.5, 0.4, 0.1, 4, "some", ((1, 1), (1, 1)))
    network = ClassifierNetwork(settings)
    Classifier(settings, LogMel(settings), network, 1.0, judgement, "data").save(folder)


def use_classifier(folder: Path) -> None:
    Classifier.load(folder).judge(torch.rand(2, 2048))


def make_study(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        make_kit(Path(scratch) / "data")
        data = Dataset.open(Path(scratch) / "data")
        clips = DatasetClips(data, "data", 10)
        assemble(
            folder,
            ("real", clips),
            {"other": clips},
            Design(verdicts=1, pairs=1),
            StimulusSettings(clips=10, seconds=0.3),
        )
    study = read_study(folder)
    answers = Answers(folder, study)
    token = answers.start(0.0)
    step = answers.step(token, 1.0)
    fixed: dict[str, Any] = {"volume": "ok", "headphones": "1", "pair": "first", "verdict": "real"}
    while step.kind != "end":
        value = Opinion(3, 3, 3) if step.kind == "opinion" else fixed.get(step.kind, study.labels[0])
        step = answers.answer(token, Answer(step.trial, f"{step.done:016d}", value, 1), 2.0 + step.done)
    answers.close()


def use_study(folder: Path) -> None:
    study = read_study(folder)
    answers = Answers(folder, study)
    try:
        ratings, finished = answers.ratings(), answers.finished()
        if ratings:
            evaluate(study, ratings, finished)
        answers.step(answers.start(1e6), 1e6 + 1)
    finally:
        answers.close()


def make_tensorflow(folder: Path) -> None:
    place = Path(__file__).parents[1] / "tests" / "interop" / "bundles.py"
    spec = importlib.util.spec_from_file_location("bundles", place)
    assert spec is not None
    assert spec.loader is not None
    bundles = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bundles)
    folder.mkdir()
    bundles.write_bundle(folder / "model.ckpt-7", bundles.VARIABLES, per_block=2)
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"\n')
    (folder / "args.txt").write_text("wavegan_dim,64\n")


def use_tensorflow(folder: Path) -> None:
    checkpoint = open_checkpoint(folder)
    _ = [checkpoint.read(name) for name in checkpoint.shapes], checkpoint.step


def make_job(folder: Path) -> None:
    with begin_or_resume(folder, {"model": "x", "count": 3}, True, False):
        pass


def use_job(folder: Path) -> None:
    with begin_or_resume(folder, {"model": "x", "count": 3}, True, True):
        pass


KINDS = {
    **{name: model(name) for name in MODELS},
    "dataset": Kind(make_kit, use_dataset),
    "shards": Kind(lambda folder: make_kit(folder, shard_bytes=20_000), use_dataset),
    "run": Kind(make_run, use_run),
    "state": Kind(make_state, use_state),
    "classifier": Kind(make_classifier, use_classifier),
    "study": Kind(make_study, use_study),
    "tensorflow": Kind(make_tensorflow, use_tensorflow),
    "job": Kind(make_job, use_job),
}


# ---- damage ----

HOSTILE = [
    *("null", "true", "false", "0", "1", "-1", "2", "64", "0.5", "-0.0", "1e-320", "1e308", "1e309", "-1e400"),
    *("NaN", "Infinity", "-Infinity", str(2**31), str(2**32), str(2**63 - 1), str(2**63), str(2**64), str(10**18)),
    *(
        "9" * 299,
        "9" * 400,
        "9" * 5000,
        '""',
        '"x"',
        '"1"',
        '"../../../../etc/passwd"',
        '"/etc"',
        '".."',
        '"a\\u0000b"',
    ),
    *('"\\ud800"', '"' + "x" * 100_000 + '"', "[]", "{}", "[[]]", "[1, 2]", '{"type": "WaveGAN"}', '{"a": {"b": 1}}'),
    *(
        "[" * 30 + "]" * 30,
        "[" * 5000 + "]" * 5000,
        '{"type": "TrainingConfig", "preset": "x"}',
        "[0, 0, 0, 0]",
        "1000",
    ),
]
_MARK = "\ue000"


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in items for place in places(each, (*path, key)))]


def damage_json(text: bytes, draws: random.Random) -> bytes:
    value = json.loads(text)
    path = draws.choice(places(value))
    if not path:
        return draws.choice(HOSTILE).encode()
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    what = draws.randrange(12)
    if what == 0:
        del holder[path[-1]]
    elif what == 1 and isinstance(holder, dict):
        holder[_MARK] = holder.pop(path[-1])
    elif what == 2:
        holder[path[-1]] = [holder[path[-1]]] * draws.choice((2, 1000))
    elif what == 3:
        other = value
        for key in draws.choice(places(value)):
            other = other[key]
        holder[path[-1]] = json.loads(json.dumps(other))
    elif what == 4 and isinstance(holder[path[-1]], (int, float)):
        holder[path[-1]] = holder[path[-1]] * draws.choice((2, 1000, 10**6, -1)) + draws.choice((0, 1))
    else:
        holder[path[-1]] = _MARK
    text = json.dumps(value).replace(json.dumps(_MARK), draws.choice(HOSTILE)).encode()
    if what == 5:  # a name twice
        text = text.replace(b"{", b'{"format_version": 1, ', 1)
    return text


def damage_bytes(data: bytes, draws: random.Random) -> bytes:
    place = draws.randrange(len(data) + 1)
    match draws.randrange(6):
        case 0:
            return data[:place]
        case 1 if data:
            flipped = bytearray(data)
            for _ in range(draws.choice((1, 1, 10))):
                flipped[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
            return bytes(flipped)
        case 2:
            return data[:place] + draws.randbytes(draws.randrange(1, 9)) + data[place + draws.randrange(9) :]
        case 3:
            return data[:place] + struct.pack("<Q", draws.getrandbits(draws.choice((8, 32, 64)))) + data[place + 8 :]
        case 4:
            return data + data[place:]
        case _:
            return data[:place] + data[draws.randrange(len(data) + 1) :]


def damage_table(data: bytes, draws: random.Random) -> bytes:
    rows = [row.split(b",") for row in data.split(b"\n")]
    row = draws.choice(rows)
    cells = [
        b"",
        b"-1",
        b"0",
        b"nan",
        b"inf",
        b"1e400",
        b"9" * 30,
        b"9" * 4000,
        b"9" * 5000,
        b'"',
        b"../x",
        b"\xff",
        b"\0",
    ]
    match draws.randrange(4):
        case 0:
            row[draws.randrange(len(row))] = draws.choice([*cells, b"x" * 200_000])
        case 1:
            row.pop()
        case 2:
            row.append(draws.choice(cells))
        case _:
            rows.append(list(draws.choice(rows)))
    return b"\n".join(b",".join(row) for row in rows)


def damage_weights(data: bytes, draws: random.Random) -> bytes:
    length = int.from_bytes(data[:8], "little")
    if draws.randrange(4) == 0:
        return damage_bytes(data, draws)
    if draws.randrange(3) == 0:  # numbers
        numbers = bytearray(data)
        place = 8 + length + 4 * draws.randrange((len(data) - 8 - length) // 4)
        numbers[place : place + 4] = struct.pack("<f", draws.choice((float("nan"), float("inf"), 3e38, -3e38, 1e-45)))
        return bytes(numbers)
    header = damage_json(data[8 : 8 + length], draws)
    if draws.randrange(3) == 0:
        codes = (b"F64", b"F16", b"BF16", b"I64", b"U8", b"BOOL", b"F8_E4M3", b"C64")
        header = header.replace(b"F32", draws.choice(codes), draws.choice((1, -1)))
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def damage_archive(data: bytes, draws: random.Random) -> bytes:
    """Of a file by `torch.save`: its bytes, its pickle with checksums that are right, or what it holds."""
    match draws.randrange(3):
        case 0:
            return damage_bytes(data, draws)
        case 1:
            out = io.BytesIO()
            with ZipFile(io.BytesIO(data)) as archive, ZipFile(out, "w") as damaged:
                target = draws.choice([name for name in archive.namelist() if "data" in name][:3])
                for name in archive.namelist():
                    content = archive.read(name)
                    damaged.writestr(name, damage_bytes(content, draws) if name == target else content)
            return out.getvalue()
        case _:
            saved = torch.load(io.BytesIO(data), weights_only=True)
            holder, key = draws.choice(leaves(saved))
            like = holder[key]
            values: list[Any] = [None, -1, 2**70, 1.5, float("nan"), "x", [], {}, torch.zeros(3), torch.zeros(()), like]
            values += [torch.zeros(2, 2).to_sparse(), torch.zeros(1 << 16), torch.zeros(1).expand(1 << 40)]
            if isinstance(like, torch.Tensor):
                values += [
                    like.double(),
                    like.half(),
                    like.long(),
                    like * torch.nan,
                    like - 1,
                    like.flatten(),
                    like[:0],
                ]
                values += [like.to(torch.complex64), like.bool(), like.flatten()[:1].expand(like.shape), like * 1e30]
            holder[key] = draws.choice(values)
            if draws.randrange(8) == 0:
                del holder[key]
            out = io.BytesIO()
            torch.save(saved, out)
            return out.getvalue()


def leaves(value: Any) -> list[tuple[Any, Any]]:
    """Every place in nested dictionaries and lists: what holds it, and its key."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    nested = [leaf for _, each in items if isinstance(each, (dict, list)) for leaf in leaves(each)]
    return [*((value, key) for key, _ in items), *nested]


def damage_database(file: Path, draws: random.Random) -> None:
    """Other values, tables, views and triggers than the program's; or other bytes."""
    if draws.randrange(3) == 0:
        file.write_bytes(damage_bytes(file.read_bytes(), draws))
        return
    table = draws.choice(("study", "listener", "trial", "sound", "answer"))
    statements = [f"DROP TABLE {table}", f"DELETE FROM {table}", f"ALTER TABLE {table} ADD COLUMN more"]
    statements += [f"CREATE TRIGGER t BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END"]
    statements += [f"ALTER TABLE {table} RENAME TO old; CREATE VIEW {table} AS SELECT * FROM old"]
    db = sqlite3.connect(file, isolation_level=None)
    try:
        db.executescript("PRAGMA ignore_check_constraints=ON; PRAGMA foreign_keys=OFF;")
        column = draws.choice([row[1] for row in db.execute(f"PRAGMA table_info({table})")])
        values = (
            None,
            -1,
            10**18,
            1.5,
            9e999,
            "",
            "x" * 100,
            "\0",
            b"\xff",
            "label",
            "repeat",
            "first",
            "rated",
            2**62,
        )
        if draws.randrange(3):
            db.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (draws.choice(values),))
        else:
            db.executescript(draws.choice(statements))
    except sqlite3.Error:  # what its schema forbids, even so
        db.execute(f"DELETE FROM {table} WHERE rowid % 2")
    finally:
        db.close()


def damage_kind(file: Path, draws: random.Random) -> None:
    """Something else in the place of a file."""
    content = file.read_bytes()
    file.unlink()
    match draws.randrange(8):
        case 0:
            file.mkdir()
        case 1:
            os.mkfifo(file)
        case 2:
            file.write_bytes(b"")
        case 3:
            with file.open("wb") as hole:
                hole.write(content)
                hole.truncate(1 << 40)
        case 4:
            file.symlink_to(draws.choice(("/etc/passwd", "/dev/zero", "/", file.name, "nowhere")))
        case 5:
            (file.parent / "elsewhere").write_bytes(content)
            file.symlink_to("elsewhere")
        case 6:
            file.write_bytes(draws.randbytes(1000))
        case _:
            pass  # missing


def damage(folder: Path, draws: random.Random) -> str:
    """Damage one file of a folder; say which."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix not in (".lock", ".png"))
    described = [file for file in files if file.suffix in (".json", ".jsonl", ".pt", ".sqlite", ".csv", ".safetensors")]
    file = draws.choice(described if described and draws.randrange(4) else files)
    if draws.randrange(10) == 0:
        damage_kind(file, draws)
        return file.name
    data = file.read_bytes()
    ways: dict[str, Callable[[bytes, random.Random], bytes]] = {
        ".json": damage_json,
        ".csv": damage_table,
        ".safetensors": damage_weights,
        ".pt": damage_archive,
    }
    if file.suffix == ".sqlite":
        damage_database(file, draws)
    elif file.suffix == ".jsonl":
        lines = data.splitlines()
        place = draws.randrange(len(lines))
        lines[place] = damage_json(lines[place], draws)
        file.write_bytes(b"\n".join(lines) + b"\n" * draws.randrange(2))
    else:
        way = ways.get(file.suffix, damage_bytes) if draws.randrange(5) else damage_bytes
        file.write_bytes(way(data, draws))
    if file.suffix == ".safetensors" and draws.randrange(2):
        config = json.loads((file.parent / "config.json").read_text())
        config["weights_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (file.parent / "config.json").write_text(json.dumps(config))
    return file.name


# ---- cases ----


class TooLongError(BaseException):
    """A case took more time than it may."""


def _interrupt(*_: object) -> None:
    raise TooLongError


def try_case(kind: Kind, good: Path, scratch: Path, seed: int) -> tuple[str, str]:
    """Damage a copy of a good folder and use it: the file that was damaged, and what became of it."""
    folder = scratch / "case"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder, symlinks=True)
    file = damage(folder, random.Random(seed))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGALRM, _interrupt)
    signal.alarm(_PATIENCE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.use(folder)
        outcome = "read"
    except OSError:  # of which the command line says in one line what the system says
        outcome = "refused"
    except FauxleyError as error:
        outcome = "refused" if len(str(error).splitlines()) == 1 else f"BUG: not one line: {error}"
        if len(str(error)) > 2000:
            outcome = "BUG: a long line"
    except (Exception, TooLongError) as error:
        outcome = f"BUG: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        signal.alarm(0)
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    return file, outcome if taken < _MEMORY else f"BUG: {taken} MiB ({outcome})"


def fuzz(name: str, seconds: float, first: int, count: int | None, say: Callable[[str], None] = print) -> Counter[str]:
    """Try cases of a kind from number `first` on, until time or `count` is over; the outcomes by number."""
    kind, outcomes, end = KINDS[name], Counter[str](), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as scratch:
        good = Path(scratch) / "good"
        kind.make(good)
        shutil.copytree(good, Path(scratch) / "case", symlinks=True)
        kind.use(Path(scratch) / "case")
        seed = first
        while seed - first < count if count is not None else time.monotonic() < end:
            (Path(scratch) / "seed").write_text(str(seed))
            file, outcome = try_case(kind, good, Path(scratch), seed)
            if outcome.startswith("BUG"):
                say(f"{name} case {seed}, {file}: {outcome}")
                outcome = "bug"
            outcomes[outcome] += 1
            seed += 1
    return outcomes


def main() -> None:
    """Fuzz each kind in a process of its own, so that a crash of one is noticed and ends no other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seconds", type=float, default=60.0, help="for each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, help="of cases, instead of a time")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.apart:
        faulthandler.enable()
        outcomes = fuzz(
            options.kinds[0], options.seconds, options.first, options.count, lambda text: print(text, flush=True)
        )
        print(json.dumps(outcomes))
        return
    print("| folder | cases | read | refused | bugs |\n|---|---|---|---|---|")
    found = 0
    for name in options.kinds:
        command = [sys.executable, __file__, "--apart", "--kinds", name, "--seconds", str(options.seconds)]
        command += ["--first", str(options.first), *(["--count", str(options.count)] if options.count else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        *bugs, last = done.stdout.splitlines() or [""]
        if done.returncode:
            print(f"{name}: the process died with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
            found += 1
            continue
        outcomes = json.loads(last)
        row = [sum(outcomes.values()), *(outcomes.get(outcome, 0) for outcome in ("read", "refused", "bug"))]
        print(f"| {name} | {' | '.join(map(str, row))} |", *bugs, sep="\n", flush=True)
        found += outcomes.get("bug", 0)
    sys.exit(min(found, 1))


if __name__ == "__main__":
    main()
