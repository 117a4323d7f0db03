"""The studio without a server: in Chromium, from a plain static server, it makes the sounds that Python makes."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from fauxley.cli.main import main
from fauxley.export.portable import agreement_of
from fauxley.latents.directions import Directions
from fauxley.models.specgan import SpecGAN
from fauxley.models.synthesizer import Synthesizer

from .conftest import small

pytest.importorskip("onnxscript", reason="no onnxscript: pip install 'fauxley[onnx]'")
pytestmark = pytest.mark.slow

ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
ASK = """async ([what, ask]) => (await window.fauxley.desk.engine[what](ask)).map(
  ({ channels, facts, sampleRate }) => ({ audio: channels.map((each) => Array.from(each)), facts, sampleRate })
)"""
PADS = """() => {
  const { store } = window.fauxley.desk;
  return store.state.pads.map((_, pad) => store.soundOf(pad)).filter(Boolean).map(
    ({ channels, facts }) => ({ audio: channels.map((each) => Array.from(each)), facts })
  );
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
        page.wait_for_selector("body[data-ready]", timeout=60_000)
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


def ask(page: Any, what: str, **question: Any) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The audio (N, C, T) and the facts of sounds that the page's engine is asked for."""
    sounds = page.evaluate(ASK, [what, {"model": "model", **question}])
    return np.asarray([sound["audio"] for sound in sounds], np.float32), [sound["facts"] for sound in sounds]


def difference(audio: np.ndarray, reference: Any) -> float:
    return agreement_of(audio, reference.numpy()).largest_difference


def test_the_page_makes_the_sounds_that_python_makes(model, page_folder, visit):
    synthesizer = Synthesizer.from_pretrained(model)
    page = visit(page_folder, {})
    assert page.get_attribute("body", "data-ready") == "true", page.inner_text("#say")
    assert page.get_attribute("body", "data-threads") == "1"
    page.wait_for_function("() => document.querySelector('#say').textContent.includes('one thread')")
    for seed in (0, 7, 2**31 - 1, 2**32, 2**45 + 12345):
        audio, (facts,) = ask(page, "generate", seed=seed, count=1)
        assert difference(audio, synthesizer.generate(1, seed=seed)) < 1e-4
        np.testing.assert_array_equal(np.float32(facts["latent"]), synthesizer.latents([seed])[0].numpy())
        assert (facts["seed"], facts["license"], facts["model_name"]) == (seed, "CC0", "drum-model")
    latents = synthesizer.latents(range(40, 43))
    audio, _ = ask(page, "render", latents=latents.tolist())
    assert difference(audio, synthesizer.generate(latents=latents)) < 1e-4
    page.wait_for_function("() => window.fauxley.desk.store.soundOf(15)")
    for sound in page.evaluate(PADS):
        ours = synthesizer.generate(1, seed=sound["facts"]["seed"])[0]
        assert difference(np.float32(sound["audio"]), ours) < 1e-4


def test_variations_and_morphs_are_made_without_a_server(model, page_folder, visit):
    synthesizer = Synthesizer.from_pretrained(model)
    page = visit(page_folder, {})
    center, corners = synthesizer.latents([3])[0], synthesizer.latents(range(4))
    audio, facts = ask(page, "vary", latent=center.tolist(), count=3, radius=0.1, seed=5)
    latents = np.float32([each["latent"] for each in facts])
    assert 0 < np.abs(latents - center.numpy()).max() <= 0.2 + 1e-6
    assert np.abs(latents).max() <= 1
    assert difference(audio, synthesizer.generate(latents=latents)) < 1e-4
    _, facts = ask(page, "vary", latent=center.tolist(), count=50, radius=1, seed=6)
    spread = np.float32([each["latent"] for each in facts])
    assert np.abs(spread).max() <= 1
    assert abs(spread.mean()) < 0.05  # uniform again: nothing piles up at the walls
    assert abs(spread.var() - 1 / 3) < 0.03
    _, facts = ask(page, "morph", corners=corners.tolist(), labels=[], rows=2, columns=2)
    np.testing.assert_allclose(np.float32([each["latent"] for each in facts]), corners.numpy(), atol=1e-6)
    audio, facts = ask(page, "morph", corners=corners[:2].tolist(), labels=[], columns=3)
    np.testing.assert_allclose(facts[1]["latent"], _middle(*corners[:2].double().numpy()), atol=1e-5)


def test_a_sound_is_turned_by_the_models_knobs_without_a_server(model, page_folder, visit):
    synthesizer = Synthesizer.from_pretrained(model)
    page = visit(page_folder, {})
    page.wait_for_selector(".words .dial")
    page.focus("[aria-labelledby=knob-brighter]")
    page.keyboard.press("End")
    page.wait_for_function("() => window.fauxley.desk.store.soundOf(0).facts.turned")
    facts = page.evaluate("() => window.fauxley.desk.store.soundOf(0).facts")
    start = synthesizer.latents([facts["turned"]["seed"]])
    moved = Directions.fit(synthesizer).move(start, {"brighter": 1})
    np.testing.assert_allclose(np.float32([facts["latent"]]), moved.numpy(), atol=1e-4)
    turned = page.evaluate(PADS)[0]["audio"]
    assert difference(np.float32([turned]), synthesizer.generate(latents=moved)) < 1e-3


def _middle(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The middle of the arc: of the length that both have, in the direction of their sum (of unit vectors)."""
    angle = np.arccos(start @ end / np.linalg.norm(start) / np.linalg.norm(end))
    return np.clip(np.sin(angle / 2) / np.sin(angle) * (start + end), -1, 1)


def test_labels_are_asked_for_on_the_page(labelled_model, tmp_path, visit):
    assert main(["export", str(labelled_model), "--to", "browser", "--out", str(tmp_path / "page"), "--quiet"]) == 0
    synthesizer = Synthesizer.from_pretrained(labelled_model)
    page = visit(tmp_path / "page", {})
    audio, facts = ask(page, "generate", seed=4, count=4)
    assert difference(audio, synthesizer.generate(4, seed=4)) < 1e-4  # labels in turn
    assert [list(each["labels"]) for each in facts] == [["hat_open"], ["kick"], ["hat_closed"], ["hat_open"]]
    audio, _ = ask(page, "generate", seed=4, count=2, labels={"kick": 3, "hat_open": 1})
    assert difference(audio, synthesizer.generate(2, seed=4, labels={"kick": 0.75, "hat_open": 0.25})) < 1e-4
    corners, ends = synthesizer.latents(range(2)), [{"kick": 1}, {"hat_open": 1}]
    _, facts = ask(page, "morph", corners=corners.tolist(), labels=ends, columns=3)
    assert [each["labels"] for each in facts] == [{"kick": 1}, {"hat_open": 0.5, "kick": 0.5}, {"hat_open": 1}]


def test_a_recording_is_taken_and_what_needs_a_server_is_said(page_folder, visit, tmp_path):
    tone = np.sin(np.arange(8000) / 5).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", tone, 16000, subtype="FLOAT")
    page = visit(page_folder, {})
    script = """async (bytes) => {
      const { engine } = window.fauxley.desk;
      const file = new File([new Uint8Array(bytes)], "tone.wav");
      const { sound } = await engine.record(file, "model");
      const refused = await engine.record(new File(["no sound"], "text.wav"), "model").catch((error) => error.message);
      const inverted = await engine.invert({}, () => {}, new AbortController().signal).catch((error) => error.message);
      const kit = await engine.kit({}).catch((error) => error.message);
      return [Array.from(sound.channels[0]), sound.sampleRate, sound.facts.name, refused, inverted, kit];
    }"""
    samples, rate, name, refused, inverted, kit = page.evaluate(script, list((tmp_path / "tone.wav").read_bytes()))
    np.testing.assert_allclose(samples, tone, atol=1e-4)
    assert (rate, name) == (16000, "tone")
    assert "cannot read text.wav" in refused
    assert "fauxley studio" in inverted
    assert "fauxley studio" in kit
    page.click("#open-menu")
    assert page.is_visible("#menu")
    assert not page.is_visible("#kit-row")


def test_threads_are_used_where_the_host_allows_them_and_a_spectrogram_model_sounds_the_same(tmp_path, visit):
    synthesizer = small(SpecGAN(4096, dim=1))
    synthesizer.representation.mean.fill_(-2)
    synthesizer.save(tmp_path / "spectrograms")
    command = ["export", str(tmp_path / "spectrograms"), "--to", "browser", "--weights", "float16"]
    assert main([*command, "--out", str(tmp_path / "page"), "--quiet"]) == 0
    page = visit(tmp_path / "page", ISOLATION)
    assert page.evaluate("crossOriginIsolated")
    threads, cores = page.evaluate("[document.body.dataset.threads, navigator.hardwareConcurrency]")
    assert int(threads) == min(4, cores)
    latents = synthesizer.latents(range(3))
    audio, _ = ask(page, "render", latents=latents.tolist())
    agreement = agreement_of(audio, synthesizer.generate(latents=latents).numpy())
    assert agreement.signal_to_error_db > 20  # weights of 16 bits, and phases that depend on them


def test_a_browser_that_computes_something_else_is_told_of(page_folder, tmp_path, visit):
    folder = Path(shutil.copytree(page_folder, tmp_path / "page"))
    facts = (folder / "model.json").read_text()
    (folder / "model.json").write_text(facts.replace('"seed": 0', '"seed": 1'))
    page = visit(folder, {})
    assert page.get_attribute("body", "data-ready") == "failed"
    assert "computes other sounds" in page.inner_text("#say")


def test_all_files_of_a_page_are_there_and_small_enough(page_folder):
    names = {path.relative_to(page_folder).as_posix() for path in page_folder.rglob("*") if path.is_file()}
    assert {"index.html", "model.onnx", "model.json", "README.md", "ort/LICENSE.txt", "_headers"} <= names
    assert not {"engine-onnx.js", "tsconfig.json"} & names
    assert "api/" not in (page_folder / "engine.js").read_text()
    assert sum(path.stat().st_size for path in page_folder.rglob("*")) < 16e6
