"""`fauxley listen`: listening tests in the browser, from choosing sounds to a report."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import tyro

from fauxley.cli.shared.options import Switch, check_sounds, check_there
from fauxley.cli.shared.values import read_path
from fauxley.errors import FauxleyError, UsageError, printable
from fauxley.listening.questions import Rating
from fauxley.listening.study import ANSWERS_FILE, TASKS, Design, Study, Task, read_study
from fauxley.storage import atomic_file, check_file_place, check_folder_place
from fauxley.terminal.formatting import counted, output_console
from fauxley.terminal.outputs import on_one_line
from fauxley.terminal.progress import Stages

Name = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="NAME")]


def create(
    name: Name,
    /,
    models: tuple[str, ...],
    real: str,
    labels: tuple[str, ...] = (),
    classifier: Path | None = None,
    tasks: tuple[Task, ...] = TASKS,
    title: str = "Listening test",
    clips: int = 50,
    seconds: float | None = None,
    loudness: float = -30.0,
    batches: int = 1,
    pairs: int = 3,
    verdicts: int = 3,
    anchors: bool = True,
    headphones: bool = True,
    seed: int = 0,
    quiet: Switch = False,
) -> None:
    """Make a listening test: draw sounds, make them equally loud and long, and hide where they come from.

    There are three kinds of questions: the paper's (batches of ten clips of one source: label each, then rate sound
    quality, ease of recognition and diversity from 1 to 5), comparisons of two clips, and real or generated.

    For example:

      fauxley listen create my-study --models runs/wavegan runs/specgan --real speech.dataset

      fauxley listen create drums-study --models ours=runs/drums theirs=folder-of-wavs --real drums.dataset \\
        --tasks pairs real-or-generated

      fauxley listen create my-study --models runs/wavegan --real speech.dataset --classifier my-classifier

    Args:
        name: New folder for the study.
        models: Runs, model folders, or folders of sound files to judge; NAME=PATH gives one another name.
        real: Real sounds: a dataset, or a folder of sound files; NAME=PATH as above.
        labels: Answers to choose from; by default the labels of the real sounds.
        classifier: A classifier made by 'fauxley train-classifier'. What it hears in a model's clip is the right answer
            when listeners' accuracy is measured; without it only sounds with labels count.
        tasks: Kinds of questions to ask, in this order.
        title: Title shown to listeners; it must not tell what is compared.
        clips: Number of clips of each source, a multiple of ten. Few enough that every clip is heard more than once are
            best: ten listeners hear a hundred of each source.
        seconds: Length of every clip in seconds; by default that of the real sounds.
        loudness: Loudness of every clip, in LKFS (LUFS).
        batches: Number of batches of ten of each source that each listener labels.
        pairs: Number of comparisons between every two sources that each listener makes.
        verdicts: Number of clips of each model, and as many real ones, that each listener calls real or generated.
        anchors: Mix in real sounds with much noise, which show who listens carefully and where the scale ends.
        headphones: Begin with a check for headphones.
        seed: Determines which sounds are drawn, and the order of the questions.
        quiet: Print nothing.
    """
    check_folder_place(name)
    from fauxley.evaluation.folder_clips import open_clips
    from fauxley.listening.creation import StimulusSettings, assemble

    design = Design(seed, tasks, batches, pairs, verdicts, headphones)
    settings = StimulusSettings(title, labels, clips, seconds, loudness, anchors, seed)
    named = [_named(each) for each in (real, *models)]
    check_sounds([path for _, path in named])
    if classifier is not None:
        check_there(classifier)
    opened = [(each, open_clips(path, clips, seed)) for each, path in named]
    recognise = None
    if classifier is not None:
        from fauxley.evaluation.classifier.classifier import Classifier
        from fauxley.listening.creation import recogniser

        recognise = recogniser(Classifier.load(classifier), labels or opened[0][1].labels)
    with _progress(quiet, clips * (len(opened) + anchors)) as progress:
        made = assemble(name, opened[0], dict(opened[1:]), design, settings, progress, recognise)
    if quiet:
        return
    study = made.study
    sources = ", ".join(on_one_line(source.name) for source in study.sources)
    print(f"{printable(name)}: {counted(len(study.clips), 'clip')} of {sources}")
    if made.softer:
        print(
            f"  {made.softer} of them are up to {made.worst_db:.1f} dB softer than {loudness:g} LKFS, because of peaks;"
        )
        print("  a lower --loudness makes all equally loud")
    print(f"next: fauxley listen serve {printable(name)}")


def serve(
    name: Name,
    /,
    host: str = "127.0.0.1",
    port: int = 8765,
    root_path: str = "",
    trust_proxy: str = "",
    allowed_hosts: tuple[str, ...] = (),
    listeners: int = 10_000,
    listeners_per_hour: int = 200,
    quiet: Switch = False,
) -> None:
    """Serve a listening test as a web page for phones and computers; listeners need no account. Ctrl-C stops it.

    An answer is saved before it is acknowledged. The server can be stopped and started at any time, and listeners
    continue where they were.

    For example:

      fauxley listen serve my-study

      fauxley listen serve my-study --host 0.0.0.0 --port 80

      fauxley listen serve my-study --root-path /study --trust-proxy 127.0.0.1 --allowed-hosts example.org

    Args:
        name: Folder of the study.
        host: Address to listen on. The default admits only this machine; 0.0.0.0 admits everybody who can reach it.
        port: Port to listen on; 0 chooses a free one.
        root_path: Prefix of all addresses, if a proxy passes it on.
        trust_proxy: Address of a proxy that is trusted to tell where a request comes from.
        allowed_hosts: Names by which people reach the page through a proxy or a tunnel, such as example.org or
            *.example.org; addresses, localhost and this machine's name are allowed anyway.
        listeners: The most listeners who may take part.
        listeners_per_hour: The most listeners who may begin from one address in an hour.
        quiet: Do not print the address.
    """
    try:
        from fauxley.listening.server import Limits, create_app
        from fauxley.web.hosts import Hosts
        from fauxley.web.server import Server, address_of, bind
    except ModuleNotFoundError as error:
        raise UsageError(f"the listening page needs {error.name}: pip install 'fauxley[web]'") from error
    from fauxley.listening.answers import Answers

    if listeners < 1 or listeners_per_hour < 1:
        raise UsageError("--listeners and --listeners-per-hour must be at least 1")
    if root_path and not root_path.startswith("/"):
        raise UsageError(f"--root-path begins with a slash; got {root_path!r}")
    prefix = root_path.rstrip("/")
    study = read_study(name)
    hosts = Hosts((*allowed_hosts, host))
    answers = Answers(name, study)
    limits = Limits(listeners=listeners, listeners_per_hour=listeners_per_hour)
    app = create_app(name, study, answers, limits, hosts, prefix)
    with suppress(KeyboardInterrupt), closing(answers), bind(host, port) as bound:
        ready = f"{on_one_line(study.title)}: {address_of(bound, host, prefix)}  (Ctrl-C stops)"
        Server(app, trust_proxy=trust_proxy, announcement="" if quiet else ready).serve_on(bound)
    if not quiet:
        print(f"stopped; 'fauxley listen report {printable(name)} --out REPORT' evaluates the answers")


def report(
    name: Name,
    /,
    out: Path | None = None,
    seed: int = 0,
    overwrite: Switch = False,
    quiet: Switch = False,
) -> None:
    """Evaluate the answers: accuracy, opinions, comparisons, agreement and significance, as tables and as a page.

    This works while the study is running. Careless listeners are found by a stated rule and excluded; the report shows
    what difference that makes.

    For example:

      fauxley listen report my-study

      fauxley listen report my-study --out my-report

    Args:
        name: Folder of the study.
        out: Folder for report.html, which needs no network, and report.json.
        seed: Determines bootstrap intervals and permutation tests; the same seed gives the same figures.
        overwrite: Replace an existing report.
        quiet: Print nothing.
    """
    from fauxley.listening.report import HTML_FILE, JSON_FILE, write_report
    from fauxley.listening.results import evaluate
    from fauxley.listening.tables import print_results

    if seed < 0:
        raise UsageError(f"--seed must not be negative; got {seed}")
    if out is not None:
        check_folder_place(out)
    if out is not None and not overwrite and any((out / file).exists() for file in (HTML_FILE, JSON_FILE)):
        raise UsageError(f"{printable(out)} holds a report; choose another --out, or give --overwrite")
    study, ratings, finished = _answered(name)
    results = evaluate(study, ratings, finished, seed)
    if not quiet:
        print_results(results, output_console())
    if out is not None:
        write_report(results, out)
        if not quiet:
            print(f"report: {printable(out / HTML_FILE)}")


def export(name: Name, /, out: Path | None = None, overwrite: Switch = False) -> None:
    """Write every answer as a row of a CSV table, with its source, which the listener did not know.

    For example:

      fauxley listen export my-study --out ratings.csv

    Args:
        name: Folder of the study.
        out: File to write; by default the table is printed.
        overwrite: Replace an existing file.
    """
    from fauxley.listening.tables import write_ratings

    if out is not None:
        check_file_place(out)
    if out is not None and out.exists() and not overwrite:
        raise UsageError(f"{printable(out)} exists already; choose another --out, or give --overwrite")
    study, ratings, _ = _answered(name)
    if out is None:
        write_ratings(study, ratings, sys.stdout)
        return
    with (
        atomic_file(out) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        count = write_ratings(study, ratings, file)
    print(f"{counted(count, 'answer')} in {printable(out)}")


def _answered(name: Path) -> tuple[Study, list[Rating], dict[int, bool]]:
    """Read a study and its answers.

    Raises:
        FauxleyError: there are no answers yet.
    """
    from fauxley.listening.answers import Answers

    study = read_study(name)
    if not (name / ANSWERS_FILE).is_file():
        raise FauxleyError(
            f"{printable(name)} has no answers yet; 'fauxley listen serve {printable(name)}' collects them"
        )
    answers = Answers(name, study)
    try:
        ratings, finished = answers.ratings(), answers.finished()
    finally:
        answers.close()
    if not ratings:
        raise FauxleyError(f"{printable(name)} has no answers yet")
    return study, ratings, finished


def _named(text: str) -> tuple[str, Path]:
    """Read NAME=PATH, or a path, whose name is its last part."""
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name, read_path(path)
    return read_path(text).resolve().name, Path(text)


@contextmanager
def _progress(quiet: bool, total: int) -> Iterator[Callable[[str, int], None]]:
    """A callback for progress, called with the source whose sound is being made and the number of sounds done."""
    with Stages(quiet) as stages:
        stages.begin("making the sounds", total)
        yield lambda name, done: stages.reach(done, total)


listen = {"create": create, "serve": serve, "report": report, "export": export}
