"""The page that makes sounds in a browser: in Chromium, from a plain static server, the sounds that Python makes."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fauxley.cli.main import main
from fauxley.export.portable import agreement_of
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer

from .conftest import small

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'fauxley[dev]'")
pytest.importorskip("onnxscript", reason="no onnxscript: pip install 'fauxley[onnx]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
GENERATE = """async ({latents, labels}) => {
  const sounds = await window.fauxley.model.generate(latents, labels);
  return sounds.map((channels) => channels.map((samples) => Array.from(samples)));
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain static server, with more headers if asked."""

    more: dict[str, str] = {}  # noqa: RUF012

    def log_message(self, *_: Any) -> None:
        pass

    def end_headers(self) -> None:
        for name, value in self.more.items():
            self.send_header(name, value)
        super().end_headers()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser) -> Iterator[Any]:
    """Opens the page of a folder; what it asks for elsewhere, or complains of, fails the test."""
    opened, problems = [], []

    def visit(folder: Path, headers: dict[str, str]) -> Any:
        handler = functools.partial(type("Handler", (Quiet,), {"more": headers}), directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        context = browser.new_context()
        opened.append((server, context))
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        page.on(
            "request", lambda asked: asked.url.startswith((address, "blob:", "data:")) or problems.append(asked.url)
        )
        page.goto(address)
        page.wait_for_selector("body[data-ready=true]", timeout=60_000)
        return page

    yield visit
    for server, context in opened:
        context.close()
        server.shutdown()
        server.server_close()
    assert not problems


@pytest.fixture(scope="module")
def page_folder(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "page"
    assert main(["export", str(model), "--to", "browser", "--out", str(folder), "--quiet"]) == 0
    return folder


def test_a_page_makes_the_sounds_that_python_makes_by_seed_and_by_latent(model, page_folder, visit):
    synthesizer = Synthesizer.from_pretrained(model)
    page = visit(page_folder, {})
    assert "one thread" in page.inner_text("#say")
    assert page.inner_text("h1") == "drum-model"
    assert "CC0" in page.inner_text("#about")
    for seed in (0, 7, 2**31 - 1, 2**32, 2**45 + 12345):
        latent = page.evaluate("seed => Array.from(window.fauxley.model.latentOf(seed))", seed)
        np.testing.assert_array_equal(np.float32(latent), synthesizer.latents([seed])[0].numpy())
    latents = synthesizer.latents(range(40, 43)).numpy()
    audio = page.evaluate(GENERATE, {"latents": latents.tolist(), "labels": []})
    ours = synthesizer.generate(latents=latents).numpy()
    assert agreement_of(np.float32(audio), ours).largest_difference < 1e-4
    shown = page.evaluate("window.fauxley.pads.map((pad) => Array.from(pad.sound[0]))")
    assert agreement_of(np.float32(shown), synthesizer.generate(8, seed=0)[:, 0].numpy()).largest_difference < 1e-4


def test_labels_are_asked_for_on_the_page(labelled_model, tmp_path, visit):
    assert main(["export", str(labelled_model), "--to", "browser", "--out", str(tmp_path / "page"), "--quiet"]) == 0
    synthesizer = Synthesizer.from_pretrained(labelled_model)
    page = visit(tmp_path / "page", {})
    assert "Ready" in page.inner_text("#say")
    shown = page.evaluate("window.fauxley.pads.map((pad) => Array.from(pad.sound[0]))")
    assert agreement_of(np.float32(shown), synthesizer.generate(8)[:, 0].numpy()).largest_difference < 1e-4
    page.select_option("#label", "kick")
    page.click("#fresh")
    page.wait_for_function("() => window.fauxley.pads.every((pad) => pad.title.textContent.startsWith('kick-'))")
    seed, sound = page.evaluate("[window.fauxley.pads[2].seed, Array.from(window.fauxley.pads[2].sound[0])]")
    ours = synthesizer.generate(1, seed=seed, labels="kick")[0, 0].numpy()
    assert agreement_of(np.float32(sound), ours).largest_difference < 1e-4


def test_pads_play_renew_and_save(model, page_folder, visit):
    page = visit(page_folder, {})
    first = page.inner_text(".pad .play span")
    page.click(".pad .play")
    page.wait_for_selector(".pad .play.on")
    with page.expect_download() as saved:
        page.click(".pad a")
    import soundfile

    audio, rate = soundfile.read(saved.value.path(), dtype="float32")
    assert saved.value.suggested_filename == f"{first}.wav"
    assert rate == 16000
    assert agreement_of(audio, Synthesizer.from_pretrained(model).generate(1)[0, 0].numpy()).largest_difference < 1e-4
    page.click("#fresh")
    page.wait_for_function("first => document.querySelector('.pad .play span').textContent !== first", arg=first)
    page.keyboard.press("3")
    page.wait_for_selector(".pad:nth-child(3) .play.on")


def test_threads_are_used_where_the_host_allows_them_and_a_spectrogram_model_sounds_the_same(tmp_path, visit):
    synthesizer = small(SpecGAN(4096, dim=1))
    synthesizer.representation.mean.fill_(-2)
    synthesizer.save(tmp_path / "spectrograms")
    command = ["export", str(tmp_path / "spectrograms"), "--to", "browser", "--weights", "float16"]
    assert main([*command, "--out", str(tmp_path / "page"), "--quiet"]) == 0
    page = visit(tmp_path / "page", ISOLATION)
    assert page.evaluate("crossOriginIsolated")
    assert "Ready" in page.inner_text("#say")
    latents = synthesizer.latents(range(3)).numpy()
    audio = page.evaluate(GENERATE, {"latents": latents.tolist(), "labels": []})
    agreement = agreement_of(np.float32(audio), synthesizer.generate(latents=latents).numpy())
    assert agreement.signal_to_error_db > 20  # weights of 16 bits, and phases that depend on them


def test_a_browser_that_computes_something_else_is_told_of(model, page_folder, tmp_path, visit):
    folder = Path(shutil.copytree(page_folder, tmp_path / "page"))
    facts = (folder / "model.json").read_text()
    (folder / "model.json").write_text(facts.replace('"seed": 0', '"seed": 1'))
    assert "computes other sounds" in visit(folder, {}).inner_text("#say")


def test_all_files_of_a_page_are_there_and_small_enough(page_folder):
    names = {path.relative_to(page_folder).as_posix() for path in page_folder.rglob("*") if path.is_file()}
    assert {"index.html", "model.onnx", "model.json", "README.md", "ort/LICENSE.txt", "_headers"} <= names
    assert sum(path.stat().st_size for path in page_folder.rglob("*")) < 16e6
