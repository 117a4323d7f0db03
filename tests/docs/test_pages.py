"""The documentation is true: its links lead somewhere, its commands parse, its Python runs, every module is in it."""

import functools
import re
import shlex
import sys
from pathlib import Path

import pytest
import tyro

from fauxley.cli.main import COMMANDS, main
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import pack
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Synthesizer
from fauxley.models.wavegan import WaveGAN
from fauxley.training.presets import PRESETS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "site"))
import commands_page  # noqa: E402
import layout_page  # noqa: E402

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
MADE = {"cli.md", "reference/cli.md"}  # by the build of the site, which checks links to it
OFFICIAL = {"train_wavegan.py", "train_specgan.py"}  # files of the authors' code
_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)

each_page = pytest.mark.parametrize("page", TEXTS)


def blocks(page, language):
    """Lines of the code blocks of a language, without indentation."""
    for indent, found, text in _BLOCK.findall(TEXTS[page]):
        if found == language:
            yield re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def command_lines():
    """Commands in blocks of code without a language, with lines that are continued joined and comments left out."""
    for page in TEXTS:
        for text in blocks(page, ""):
            for line in text.replace("\\\n", " ").splitlines():
                if found := re.match(r"(?:torchrun .* -- )?fauxley (.*)", line):
                    yield pytest.param(shlex.split(found[1], comments=True), id=f"{page}: {line.strip()[:70]}")


def examples():
    """Commands in the help texts."""
    for command in commands_page.commands():
        for paragraph in commands_page.help_of(*command).paragraphs:
            if found := re.match(r"(?:Example.*?: )?fauxley (.+[^\\])$", paragraph):
                yield shlex.split(found[1], comments=True)


def parse(arguments, monkeypatch):
    """Have the command line read by the real commands, none of which is then carried out; the exit code."""
    real_cli = tyro.cli

    def read_only(command, **options):
        @functools.wraps(command)
        def nothing(*_, **__):
            pass

        return real_cli(nothing, **options)

    monkeypatch.setattr(tyro, "cli", read_only)
    if ">" in arguments:
        arguments = arguments[: arguments.index(">")]
    return main(arguments)


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXTS[page]):
        if "://" not in target and target not in MADE:
            assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("arguments", list(command_lines()))
def test_command_lines_of_the_pages_are_understood(arguments, monkeypatch, capfd):
    assert parse(arguments, monkeypatch) == 0, capfd.readouterr().err


@pytest.mark.slow
def test_command_lines_of_the_help_texts_are_understood(monkeypatch, capfd):
    for arguments in examples():
        with monkeypatch.context() as patch:
            assert parse(arguments, patch) == 0, (arguments, capfd.readouterr().err)


@each_page
def test_commands_in_running_text_exist(page):
    for command, word in re.findall(r"`fauxley ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?", TEXTS[page]):
        assert command in COMMANDS
        if command == "train" and word:
            assert word in PRESETS


@each_page
def test_files_of_code_that_are_named_exist(page):
    roots = ROOT, ROOT / "src", ROOT / "src" / "fauxley"
    for name in set(re.findall(r"(?<![\w/.-])\w+/[\w/]+\.py\b|(?<=`)\w+\.py(?=`)", TEXTS[page])) - OFFICIAL:
        assert any((root / name).is_file() for root in roots) or list((ROOT / "src").rglob(name)), name


@pytest.fixture(scope="module")
def where_people_work(make_kit, tmp_path_factory):
    """A folder with what the pages speak of: models and datasets of their sample rate and clip length."""
    folder = tmp_path_factory.mktemp("pages")
    for name, labels in (("mine", ()), ("drums", ("hat", "kick", "snare"))):
        architecture = WaveGAN(4096, dim=1, labels=labels)
        model = Synthesizer(architecture, architecture.generator(Draws(0)), architecture.representation(), 16000)
        model.save(folder / "runs" / name)
    settings = PackSettings(sample_rate=16000, clip_length=4096)
    for seed, name in enumerate(("my-dataset", "train.dataset", "test.dataset")):
        kit = make_kit(sample_rate=16000, duration_seconds=0.25, per_instrument=4, seed=seed)
        pack(kit, folder / name, settings, n_jobs=1)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in TEXTS if list(blocks(page, "python"))])
def test_python_runs(page, where_people_work, monkeypatch):
    monkeypatch.chdir(where_people_work)
    names = {"__name__": "__main__"}
    for text in blocks(page, "python"):
        exec(compile(text, page, "exec"), names)  # the page's own code, block after block


def test_every_module_says_what_it_holds():
    assert [path for path in layout_page.modules() if len(layout_page.purpose(path).split()) < 3] == []


def test_the_layout_page_lists_every_module():
    listed = re.findall(r"^- `([\w/]+\.py)`", layout_page.layout_page(), re.MULTILINE)
    source = ROOT / "src" / "fauxley"
    there = {path.relative_to(source).as_posix() for path in source.rglob("*.py") if path.name != "__init__.py"}
    assert sorted(listed) == sorted(there)


def test_a_command_line_that_is_wrong_is_noticed(monkeypatch, capfd):
    assert parse(["generate", "runs/mine", "--outt", "here"], monkeypatch) == 2
    assert "--outt" in capfd.readouterr().err
