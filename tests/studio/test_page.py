"""The studio's page in a real browser: played, varied, locked, sequenced, saved, reopened, and what is heard of it."""

import base64
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from fauxley.export.shaping import Shaping
from fauxley.latents.directions import Directions
from fauxley.models.synthesizer import Synthesizer
from fauxley.studio.audition import likeness

from .conftest import check_sentence

pytestmark = pytest.mark.slow

DESK = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
NEUTRAL = {"gain": 0, "pitch": 0, "attack": 0, "decay": 1, "tone": 0, "pan": 0, "send": 0, "choke": 0}


@contextmanager
def serving(*arguments: str, cache: Path | None = None) -> Iterator[str]:
    """Serve a studio on a free port: its address, with the token if there is one."""
    command = [sys.executable, "-m", "fauxley", "studio", *arguments, "--port", "0"]
    environment = {**os.environ, **({"FAUXLEY_CACHE_DIR": str(cache)} if cache else {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address, process.communicate(timeout=10)
        yield address[0]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def address(drums_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    shelf = tmp_path_factory.mktemp("shelf") / "shelf"
    with serving(str(drums_model), "--shelf", str(shelf)) as address:
        yield address


class Player:
    """Someone at the page."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(accept_downloads=True, **(options or DESK))
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self._own = address.partition("#")[0]
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        self.page.on("request", lambda request: self._watch(request.url))
        self.page.goto(address)
        self.wait()

    def _watch(self, url: str) -> None:
        if not url.startswith((self._own, "blob:")):
            self.problems.append(f"asked elsewhere: {url}")

    def wait(self) -> None:
        """Until the page is ready and no pad waits for a sound."""
        self.page.wait_for_selector("body[data-ready=true]")
        self.page.wait_for_function("() => !document.querySelector('.pad.waiting')")

    def ask(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)
        self.wait()

    def pads(self) -> list[dict[str, Any]]:
        return list(self.ask("() => fauxley.desk.store.state.pads"))

    def facts(self, pad: int) -> dict[str, Any]:
        return dict(self.ask("pad => fauxley.desk.store.soundOf(pad).facts", pad))

    def rendered(self, pad: int) -> np.ndarray:
        """What a pad sounds like: (C, T)."""
        script = "async pad => (await fauxley.renderPad(pad)).map(samples => [...samples])"
        return np.array(self.ask(script, pad), np.float32)

    def download(self, click: str) -> bytes:
        with self.page.expect_download() as started:
            self.page.click(click)
        return Path(started.value.path()).read_bytes()

    def menu(self, text: str) -> str:
        """Opens the menu; the selector of an item."""
        self.page.click("#open-menu")
        return f"#menu .button:has-text('{text}')"

    def leave(self) -> None:
        assert not self.problems
        self.context.close()


@pytest.fixture
def player(browser: Any, address: str) -> Iterator[Player]:
    player = Player(browser, address)
    yield player
    player.leave()


def test_pads_hold_the_sounds_that_python_makes_of_their_seeds(player: Player, drums_model: Path) -> None:
    synthesizer = Synthesizer.from_pretrained(drums_model)
    assert all(pad["sound"] for pad in player.pads())
    for pad in (0, 7, 15):
        facts = player.facts(pad)
        expected = synthesizer.generate(1, seed=facts["seed"]).numpy()[0]
        np.testing.assert_allclose(player.rendered(pad), expected, atol=1e-6)
        again = synthesizer.generate(latents=np.array([facts["latent"]], np.float32)).numpy()[0]
        np.testing.assert_allclose(again, expected, atol=1e-6)


def test_keys_and_clicks_play_and_are_heard(player: Player) -> None:
    player.ask(
        """() => { const { player } = fauxley.desk; window.heard = [];
        const play = player.play; player.play = function (pad, sound, settings, velocity) {
            heard.push([pad, velocity ?? 1]); return play.apply(this, arguments); }; }"""
    )
    player.page.keyboard.press("w")
    player.page.click("[data-pad='9']")
    player.page.keyboard.press("Shift+z")
    player.page.focus("[data-pad='12']")
    player.page.keyboard.press("ArrowUp")
    player.page.keyboard.press("Enter")
    assert player.ask("() => heard") == [[5, 1], [9, 1], [12, 0.5], [8, 1]]
    # What the last 0.7 seconds held, however late the page is asked.
    player.ask(
        """() => { const { mixer } = fauxley.desk.player;
        window.ear = new AnalyserNode(mixer.context, { fftSize: 32768 }); mixer.meter.connect(ear); }"""
    )
    listen = "() => { const all = new Float32Array(32768); ear.getFloatTimeDomainData(all); return Math.max(...all); }"
    loudest = 0.0
    for _ in range(100):
        player.page.keyboard.press("q")
        player.page.wait_for_timeout(100)
        loudest = max(loudest, player.ask(listen))
        if loudest > 0.001:
            break
    assert loudest > 0.001
    assert player.page.locator(".pad[aria-current]").get_attribute("data-pad") == "4"


def test_vary_lock_undo_and_redo(player: Player) -> None:
    before = player.pads()
    latent = np.array(player.facts(2)["latent"])
    player.press("3")
    player.press("b")
    varied = player.facts(2)
    assert varied["made"] == "variation"
    assert 0 < np.abs(np.array(varied["latent"]) - latent).max() <= 0.3 + 1e-6
    player.press("l")
    player.press("Shift+N")
    after = player.pads()
    assert after[2]["locked"]
    assert after[2]["sound"] == player.pads()[2]["sound"] != before[2]["sound"]
    assert all(after[pad]["sound"] != before[pad]["sound"] for pad in range(16) if pad != 2)
    for _ in range(3):
        player.press("Control+z")
    assert [pad["sound"] for pad in player.pads()] == [pad["sound"] for pad in before]
    assert not player.pads()[2]["locked"]
    for _ in range(3):
        player.press("Control+Shift+Z")
    assert player.pads() == after
    assert player.page.locator("#say").inner_text().startswith("Done again: ")
    player.page.click(".panel-tabs [data-show=library]")
    assert player.page.locator(".sounds li").count() == 16 + 1 + 15


def test_knobs_change_what_is_heard_and_nothing_else(player: Player) -> None:
    dry = player.rendered(0)[0]

    def set_to(**settings: float) -> np.ndarray:
        script = "settings => fauxley.desk.store.changePad('test', 0, { settings })"
        player.ask(script, {**NEUTRAL, **settings})
        return player.rendered(0)

    np.testing.assert_array_equal(set_to()[0], dry)
    np.testing.assert_allclose(set_to(gain=-6)[0], dry * 10 ** (-6 / 20), atol=1e-6)
    octave = set_to(pitch=12)[0]
    assert len(octave) == len(dry) / 2
    np.testing.assert_allclose(octave[:1000], dry[:2000:2], atol=1e-6)
    left, right = set_to(pan=-1)
    np.testing.assert_allclose(left, dry * np.sqrt(2), atol=1e-5)
    assert np.abs(right).max() < 1e-6
    attacked = set_to(attack=0.05)[0]
    ramp = np.clip(np.arange(len(dry)) / (0.05 * 16_000), 0, 1)
    np.testing.assert_allclose(attacked, dry * ramp, atol=2e-3 * np.abs(dry).max())
    decayed = set_to(decay=0.5)[0]
    assert len(decayed) < len(dry) / 2
    np.testing.assert_allclose(decayed[:8], dry[:8], rtol=0.1)
    assert np.abs(decayed[-20:]).max() < 0.01 * np.abs(dry).max()
    frequencies = np.fft.rfftfreq(len(dry), 1 / 16_000)
    loud = np.abs(np.fft.rfft(dry))
    dull, thin = (np.abs(np.fft.rfft(set_to(tone=tone)[0], len(dry))) for tone in (-0.7, 0.7))
    high, low = frequencies > 4000, frequencies < 100
    assert dull[high].sum() < 0.05 * loud[high].sum()
    assert thin[low].sum() < 0.2 * loud[low].sum()


@pytest.mark.parametrize(
    "settings",
    [
        {"gain": -7},
        {"pitch": 5},
        {"attack": 0.03},
        {"decay": 0.6},
        {"tone": -0.6},
        {"tone": 0.5},
        {"pan": -0.4},
        {"gain": 3, "pitch": -7, "attack": 0.02, "decay": 0.8, "tone": -0.3, "pan": 0.7},
    ],
    ids=str,
)
def test_kits_hold_what_the_page_plays(player: Player, settings: dict[str, float]) -> None:
    dry = player.rendered(0)
    player.ask("settings => fauxley.desk.store.changePad('test', 0, { settings })", {**NEUTRAL, **settings})
    page, ours = player.rendered(0), Shaping(**settings).apply(dry, 16_000)
    assert len(page) == len(ours)
    length = min(page.shape[1], ours.shape[1])
    assert abs(page.shape[1] - ours.shape[1]) <= 2
    # Browsers change the speed by drawing lines between samples, which takes highs away; the kit does not.
    heard = slice(0, length // 10 if "pitch" in settings else None)  # bins, of which the last is at half the rate
    for one, other in zip(
        np.fft.rfft(page[:, :length])[:, heard], np.fft.rfft(ours[:, :length])[:, heard], strict=True
    ):
        likeness = np.vdot(one, other).real / (np.linalg.norm(one) * np.linalg.norm(other))
        assert likeness > (0.99 if "pitch" in settings else 0.99999)
        ratio = np.linalg.norm(other) / np.linalg.norm(one)
        assert ratio == pytest.approx(1, abs=0.1 if "pitch" in settings else 1e-3)


def test_a_sound_is_turned_by_its_models_knobs(
    browser: Any, drums_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesizer = Synthesizer.from_pretrained(drums_model)
    with serving(str(drums_model), "--shelf", str(tmp_path / "shelf"), cache=tmp_path / "cache") as address:
        player = Player(browser, address)
        player.page.click("#panel-sound .button:has-text('Find the knobs')")
        player.page.wait_for_selector(".words .dial", timeout=60_000)
        before, made = player.pads()[0], player.ask("() => fauxley.desk.store.history.length")
        facts = player.facts(0)
        player.page.focus("[aria-labelledby=knob-brighter]")
        assert "kHz" in player.page.inner_text("#reach")
        for key in ("PageUp", "PageUp", "ArrowUp"):
            player.page.keyboard.press(key)
        player.page.wait_for_function("() => fauxley.desk.store.soundOf(0).facts.turned?.knobs.brighter > 0.54")
        player.page.wait_for_function("n => fauxley.desk.store.history.length > n", arg=made)
        turned = player.facts(0)
        latent = torch.tensor(facts["latent"])
        monkeypatch.setenv("FAUXLEY_CACHE_DIR", str(tmp_path / "cache"))
        moved = Directions.fit(synthesizer).move(latent, {"brighter": 0.55})
        np.testing.assert_allclose(turned["latent"], moved.numpy(), atol=1e-4)
        np.testing.assert_allclose(player.rendered(0), synthesizer.generate(latents=moved[None]).numpy()[0], atol=1e-3)
        assert player.page.get_attribute("[aria-labelledby=knob-brighter]", "aria-valuenow") == "0.55"
        assert "brighter +55" in player.page.inner_text("#panel-sound .facts")
        player.page.wait_for_timeout(700)
        player.page.reload()
        player.wait()
        player.page.wait_for_selector(".words .dial")  # remembered
        assert player.facts(0)["turned"] == turned["turned"]
        player.page.focus("[aria-labelledby=knob-brighter]")
        player.page.keyboard.press("Delete")
        player.page.wait_for_function("seed => fauxley.desk.store.soundOf(0).facts.seed === seed", arg=facts["seed"])
        assert "turned" not in player.facts(0)
        np.testing.assert_allclose(player.facts(0)["latent"], facts["latent"], atol=1e-7)
        box = player.page.locator("[aria-labelledby=knob-boomier]").bounding_box()
        player.page.mouse.move(box["x"] + 20, box["y"] + 20)
        player.page.mouse.down()
        for step in range(1, 8):
            player.page.mouse.move(box["x"] + 20, box["y"] + 20 - 8 * step)
            player.page.wait_for_timeout(60)
        player.page.wait_for_function("() => fauxley.desk.player.isLooping")
        player.page.mouse.up()
        player.page.wait_for_function("() => !fauxley.desk.player.isLooping")
        player.page.wait_for_function("() => fauxley.desk.store.soundOf(0).facts.turned?.knobs.boomier > 0.5")
        player.press("Control+z")  # one step, however many sounds there were on the way
        assert player.facts(0)["latent"] == facts["latent"]
        player.press("l")
        player.page.focus("[aria-labelledby=knob-boomier]")
        player.page.keyboard.press("ArrowUp")
        assert "locked" in player.page.inner_text("#say")
        assert player.page.get_attribute("[aria-labelledby=knob-boomier]", "aria-valuenow") == "0"
        assert before["name"] == player.pads()[0]["name"]
        player.leave()


def test_the_knobs_are_reached_by_keyboard(player: Player) -> None:
    player.page.focus("[role=slider][aria-labelledby=knob-pitch]")
    player.page.keyboard.press("ArrowUp")
    player.page.keyboard.press("PageUp")
    assert player.pads()[0]["settings"]["pitch"] == 6
    assert player.page.get_attribute("[aria-labelledby=knob-pitch]", "aria-valuetext") == "+6 st"
    player.page.keyboard.press("Delete")
    assert player.pads()[0]["settings"]["pitch"] == 0


def test_a_hint_stays_away_once_it_was_read_and_the_keys_are_shown(player: Player) -> None:
    assert player.page.is_visible("#hint")
    player.page.click("#hint .button")
    assert not player.page.is_visible("#hint")
    player.page.reload()
    player.wait()
    assert not player.page.is_visible("#hint")
    player.page.keyboard.press("?")
    assert player.page.is_visible("#help")
    player.page.keyboard.press("n")  # no key of the page while it is open
    player.page.keyboard.press("Escape")
    assert not player.page.is_visible("#help")


def test_a_loop_plays_each_step_when_it_is_due(player: Player) -> None:
    player.page.click(".cell[data-pad='0'][data-step='0']")
    player.page.click(".cell[data-pad='1'][data-step='5']")
    player.page.focus(".cell[data-pad='1'][data-step='5']")
    player.page.keyboard.press("ArrowRight")
    player.page.keyboard.press("Enter")
    player.page.keyboard.press("Shift+ArrowDown")
    player.page.keyboard.press("Alt+ArrowDown")
    steps = player.ask("() => fauxley.desk.store.state.patterns[0].rows[1].slice(5, 7)")
    assert steps == [{"velocity": 0.85, "chance": 1}, {"velocity": 0.8, "chance": 0.9}]
    player.ask("() => fauxley.desk.store.change('test', { tempo: 120, swing: 0.5, master: -20, reverb: 0 })")
    script = "async ([rate, luck]) => (await fauxley.renderLoop(1, rate, () => luck)).map(samples => [...samples])"
    with_luck, without = (np.array(player.ask(script, [16_000, luck]), np.float64) for luck in (0, 0.95))
    assert with_luck.shape == (2, 16 * 2000)  # a sixteenth at 120 is an eighth of a second
    first, second = (player.rendered(pad)[0].astype(np.float64) for pad in (0, 1))
    expected = np.zeros(3 * 16 * 2000)
    for start in (0, 16 * 2000):
        for sound, step, velocity in ((first, 0, 0.85), (second, 5.5, 0.85), (second, 6, 0.8)):
            place = start + int(step * 2000)
            expected[place : place + len(sound)] += sound * velocity**1.5 * 10 ** (-20 / 20)
    loop = expected[16 * 2000 : 32 * 2000]
    delay = int(np.argmax(np.correlate(with_luck[0], loop[:24_000], "full"))) - 23_999
    assert 0 <= delay <= 0.01 * 16_000  # a limiter looks ahead
    heard = with_luck[0][delay : delay + 28_000]
    assert np.corrcoef(heard, loop[:28_000])[0, 1] > 0.999
    gone = with_luck[0] - without[0]
    quiet, loud = np.abs(gone[: 6 * 2000]).max(), np.abs(gone[6 * 2000 : 8 * 2000]).max()
    assert loud > 20 * quiet


def test_the_sequencer_looks_ahead_and_keeps_time(player: Player) -> None:
    """On a clock that is set by hand: late by a third of a second in the middle, as a busy page is."""
    player.ask("() => fauxley.desk.store.change('test', { tempo: 240, swing: 0 })")
    for step in range(0, 16, 4):
        player.page.click(f".cell[data-pad='3'][data-step='{step}']")
    script = """async () => {
        const { Sequencer } = await import('./sequencer.js'), context = { currentTime: 0 }, hits = [];
        let clock; window.Worker = class { constructor() { clock = this; } postMessage() {} };
        const play = (pad, when, velocity) => hits.push([pad, when, velocity, context.currentTime]);
        const sequencer = new Sequencer(() => fauxley.desk.store.state, play, () => {});
        sequencer.start(context);
        for (let tick = 0; tick < 200; tick++) {
            context.currentTime += tick === 100 ? 0.33 : 0.025;
            clock.onmessage();
        }
        sequencer.stop();
        return hits;
    }"""
    pads, times, velocities, asked = np.array(player.ask(script)).T
    assert (set(pads), set(velocities)) == ({3}, {0.85})
    np.testing.assert_allclose(np.diff(times), 0.25, atol=1e-9)
    late = times < asked
    assert late.sum() <= 1  # what fell into the third of a second
    assert (times - asked)[~late].max() < 0.2


def test_play_and_stop(player: Player) -> None:
    player.page.click(".transport")
    player.page.wait_for_selector(".cell.now")
    assert player.page.get_attribute(".transport", "aria-pressed") == "true"
    player.page.click(".transport")
    assert player.page.locator(".cell.now").count() == 0
    player.page.focus(".pad[tabindex='0']")
    player.page.keyboard.press("Space")
    player.page.wait_for_selector(".cell.now")
    player.page.keyboard.press("Space")
    assert player.page.locator(".cell.now").count() == 0


def test_a_choke_group_ends_the_sound_before(player: Player) -> None:
    for pad in (0, 1):
        change = "([pad, settings]) => fauxley.desk.store.changePad('test', pad, { settings })"
        player.ask(change, [pad, {**NEUTRAL, "choke": 1}])
    script = """async () => {
        const { Mixer } = await import('./mixer.js'), { store } = fauxley.desk;
        const context = new OfflineAudioContext(1, 4096, 16000), mixer = new Mixer(context);
        mixer.setNow(-20, 0);
        mixer.play(store.soundOf(0), store.state.pads[0].settings, 0, 1);
        mixer.play({ ...store.soundOf(1), channels: [new Float32Array(4096)] }, store.state.pads[1].settings, 0.05, 1);
        return [...(await context.startRendering()).getChannelData(0)];
    }"""
    heard, dry = np.array(player.ask(script)), player.rendered(0)[0]
    begun = slice(0, int(0.05 * 16_000))
    assert np.abs(heard[begun]).max() > 0.05 * np.abs(dry).max()
    assert np.abs(heard[int(0.08 * 16_000) :]).max() < 1e-3 * np.abs(dry).max()
    assert np.abs(dry[int(0.08 * 16_000) :]).max() > 0.01 * np.abs(dry).max()


def test_a_morph_is_heard_without_clicks_or_gaps(player: Player) -> None:
    """Sounds of a loop are exchanged every 50 ms; whatever is heard changes no faster than the sounds themselves do."""
    script = """async () => {
        const { Looper } = await import('./looper.js'), rate = 16000;
        const sine = pitch => Float32Array.from(
            { length: 8000 }, (_, t) => 0.5 * Math.sin(2 * Math.PI * pitch * t / rate));
        const tone = number => ({ id: `${number}`, sampleRate: rate, facts: {}, channels: [sine(200 + 7 * number)] });
        const context = new OfflineAudioContext(1, 2 * rate, rate), looper = new Looper(context, context.destination);
        for (let number = 0; number < 30; number++) {
            context.suspend(0.1 + 0.05 * number).then(() => { looper.play(tone(number)); context.resume(); });
        }
        return [...(await context.startRendering()).getChannelData(0)];
    }"""
    heard = np.array(player.ask(script))
    steepest = 0.5 * 2 * np.pi * (200 + 7 * 30) / 16_000
    assert np.abs(np.diff(heard)).max() < 1.5 * steepest
    windows = heard[int(0.14 * 16_000) : int(1.9 * 16_000)]
    levels = np.sqrt(np.square(windows[: len(windows) // 480 * 480].reshape(-1, 480)).mean(axis=1))
    assert levels.min() > 0.1


def test_the_morph_square_and_its_series(player: Player, drums_model: Path) -> None:
    synthesizer = Synthesizer.from_pretrained(drums_model)
    player.page.click(".panel-tabs [data-show=morph]")
    player.page.wait_for_function("() => !fauxley.morph.isPlaying")
    player.page.focus(".puck")
    for _ in range(10):
        player.page.keyboard.press("ArrowLeft")
        player.page.keyboard.press("ArrowUp")
    assert player.page.inner_text("#morph-place").startswith("A 100 %")
    player.ask("() => fauxley.morph.moveTo(0, 0)")
    player.page.keyboard.press("4")
    player.page.click("#panel-morph .button:has-text('Put on pad')")
    player.page.wait_for_function("() => fauxley.desk.store.soundOf(3).facts.made === 'morph'")
    corner = synthesizer.generate(latents=np.array([player.facts(0)["latent"]], np.float32)).numpy()[0]
    np.testing.assert_allclose(player.rendered(3), corner, atol=1e-5)
    player.page.click("#panel-morph .button:has-text('Listen')")
    player.page.wait_for_function("() => fauxley.morph.isPlaying")
    player.page.click("#panel-morph .button:has-text('Listen')")
    player.page.click("#panel-morph .button:has-text('Series')")
    player.page.wait_for_function("() => fauxley.desk.store.soundOf(2).facts.made === 'morph'")
    made = [player.facts(pad)["made"] for pad in range(16)]
    assert made.count("morph") == 8
    assert made[:2] == ["new", "new"]


def test_a_session_is_saved_reloaded_and_reopened(player: Player, browser: Any, address: str) -> None:
    player.press("2")
    player.press("b")
    player.press("l")
    player.page.fill(".name", "my hat")
    player.page.keyboard.press("Enter")
    player.page.click(".cell[data-pad='1'][data-step='3']")
    before, rendered = player.pads(), player.rendered(1)
    assert before[1]["name"] == "my hat"
    player.page.wait_for_timeout(700)
    player.page.reload()
    player.wait()
    assert player.pads() == before
    saved = player.download(player.menu("Save session"))
    other = Player(browser, address)
    with other.page.expect_file_chooser() as chooser:
        other.page.click(other.menu("Open session"))
    chooser.value.set_files([{"name": "s.fauxley.json", "mimeType": "application/json", "buffer": saved}])
    other.page.wait_for_function("() => fauxley.desk.store.state.pads[1].name === 'my hat'")
    assert other.pads() == before
    np.testing.assert_array_equal(other.rendered(1), rendered)
    assert other.ask("() => fauxley.desk.store.state.patterns[0].rows[1][3].velocity") == 0.85
    other.leave()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"format": "fauxley-session"}', '{"format": "fauxley-session", "version": 2}'],
)
def test_files_that_are_no_sessions_change_nothing(player: Player, text: str) -> None:
    before = player.pads()
    script = "text => { try { fauxley.openSession(text); return ''; } catch (error) { return error.message; } }"
    assert "session" in player.ask(script, text)
    assert player.pads() == before


def test_a_hostile_session_is_brought_within_bounds(player: Player) -> None:
    state = json.loads(player.ask("() => fauxley.writeSession()"))
    wild = {"gain": 1e9, "pitch": "x", "attack": None, "decay": -4, "tone": [], "pan": -7, "send": 2, "choke": 99}
    state["state"]["pads"][0] |= {"settings": wild, "name": "<img src=x onerror=alert(1)>"}
    state["state"]["patterns"] = [{"length": 10**9, "rows": "no"}]
    state["state"]["tempo"] = 1e308
    state["sounds"].append({"id": 4, "channels": ["%%%"], "sampleRate": -1, "facts": None})
    player.ask("text => fauxley.openSession(text)", json.dumps(state))
    settings = player.pads()[0]["settings"]
    assert settings == {**NEUTRAL, "gain": 12, "decay": 0, "pan": -1, "send": 1, "choke": 4}
    assert player.ask("() => fauxley.desk.store.state.tempo") == 240
    assert player.page.locator(".pad img").count() == 0
    assert np.isfinite(player.rendered(0)).all()


def test_files_hold_what_is_heard(player: Player) -> None:
    facts, clip = player.facts(0), player.rendered(0)[0]
    samples, rate = soundfile.read(
        io.BytesIO(player.download("#panel-sound .button:has-text('Save WAV')")), dtype="int16"
    )
    assert rate == 16_000
    np.testing.assert_array_equal(samples, np.clip(np.rint(clip * 32768), -32768, 32767))
    archive = zipfile.ZipFile(io.BytesIO(player.download(player.menu("zip"))))
    assert archive.testzip() is None
    assert len(archive.namelist()) == 32
    first = min(name for name in archive.namelist() if name.endswith(".wav"))
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(archive.read(first)), dtype="int16")[0], samples)
    about = json.loads(archive.read(first.replace(".wav", ".json")))
    assert (about["seed"], about["license"], about["model"]) == (facts["seed"], "CC0-1.0", "drums")
    player.page.click(".cell[data-pad='0'][data-step='0']")
    loop, rate = soundfile.read(io.BytesIO(player.download(player.menu("Save loop"))))
    assert (rate, loop.shape) == (44_100, (round(16 * 60 / 112 / 4 * 44_100), 2))
    assert np.abs(loop).max() > 0.001


def test_a_pad_can_be_dragged_out_as_a_file(player: Player) -> None:
    script = """() => { const data = new DataTransfer(), pad = document.querySelector('.pad');
        pad.dispatchEvent(new DragEvent('dragstart', { dataTransfer: data, bubbles: true }));
        return data.getData('DownloadURL'); }"""
    kind, name, address = player.ask(script).split(":", 2)
    assert (kind, name[-4:]) == ("audio/wav", ".wav")
    fetched = player.ask("async address => [...new Uint8Array(await (await fetch(address)).arrayBuffer())]", address)
    samples, _ = soundfile.read(io.BytesIO(bytes(fetched)))
    np.testing.assert_allclose(samples, player.rendered(0)[0], atol=1 / 32768)


def drop(player: Player, pad: int, name: str, content: bytes) -> None:
    script = """([pad, name, content]) => { const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
        data.items.add(new File([bytes], name));
        document.querySelector(`[data-pad="${pad}"]`)
            .dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })); }"""
    player.ask(script, [pad, name, base64.b64encode(content).decode()])
    player.wait()


def test_a_recording_is_dropped_on_a_pad(player: Player) -> None:
    encoded = io.BytesIO()
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(16_000) / 16_000)
    soundfile.write(encoded, tone, 16_000, format="FLAC")
    drop(player, 6, "my tone.flac", encoded.getvalue())
    assert player.pads()[6]["name"] == "my tone"
    np.testing.assert_allclose(player.rendered(6)[0], tone, atol=1e-4)
    before = player.pads()
    drop(player, 6, "notes.txt", b"dear diary")
    said = player.page.inner_text(".say.problem")
    assert said.lower().startswith("notes.txt")
    assert "WAV" in said
    assert player.pads() == before
    player.problems = [each for each in player.problems if "409" not in each]


def test_the_nearest_sound_to_a_recording_is_found_and_compared(player: Player, drums_model: Path) -> None:
    clip = Synthesizer.from_pretrained(drums_model).generate(1, seed=99).numpy()[0, 0]
    encoded = io.BytesIO()
    soundfile.write(encoded, np.clip(clip, -1, 1), 16_000, format="WAV", subtype="PCM_24")
    drop(player, 3, "knock.wav", encoded.getvalue())
    player.page.click("#panel-sound .button:has-text('Find the nearest')")
    player.page.click("#panel-sound .search .button:has-text('Cancel')")
    player.page.wait_for_selector("#panel-sound .button:has-text('Find the nearest')")
    player.page.click("#panel-sound .button:has-text('Find the nearest')")
    player.page.wait_for_selector(".verdict", timeout=120_000)
    assert " dB" in player.page.inner_text(".verdict")
    assert player.page.locator(".sides .side").count() == 2
    player.page.click("#panel-sound .button:has-text('Put the nearest')")
    facts = player.facts(3)
    assert facts["made"] == "resynthesis"
    latents = np.array([facts["latent"]], np.float32)
    expected = Synthesizer.from_pretrained(drums_model).generate(latents=latents).numpy()[0]
    np.testing.assert_allclose(player.rendered(3), expected, atol=1e-5)
    player.press("b")
    assert player.facts(3)["made"] == "variation"


def test_whatever_is_dropped_is_taken_or_refused_in_a_sentence(player: Player, strange_files: list[Path]) -> None:
    script = """async ([name, content]) => {
        const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
        return await fauxley.desk.drop(new File([bytes], name), 5); }"""
    outcomes = {"taken": 0, "refused": 0}
    for path in strange_files:
        before = player.pads()[5]["sound"]
        said = player.ask(script, [path.name, base64.b64encode(path.read_bytes()).decode()])
        outcomes["refused" if said else "taken"] += 1
        if said:
            check_sentence(path.name, said)
        assert (player.pads()[5]["sound"] == before) == bool(said)
        player.problems = [problem for problem in player.problems if "status of 409" not in problem]
    assert all(outcomes.values()), outcomes
    assert player.page.locator(".pad.waiting").count() == 0


def test_several_files_are_dropped_at_once(player: Player) -> None:
    """A good one, two that are none, what lies beside it, and one for which there is no pad."""
    encoded = io.BytesIO()
    soundfile.write(encoded, 0.5 * np.sin(np.arange(4000) / 9), 16_000, format="WAV")
    before = player.pads()
    script = """([sound, pad]) => { const data = new DataTransfer();
        const bytes = Uint8Array.from(atob(sound), letter => letter.charCodeAt(0));
        data.items.add(new File([bytes], "one.wav"));
        data.items.add(new File(["{}"], "one.json"));
        data.items.add(new File(["dear diary"], "Notes.txt"));
        data.items.add(new File([], "empty.wav"));
        data.items.add(new File([bytes], "two.wav"));
        document.querySelector(`[data-pad="${pad}"]`)
            .dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })); }"""
    player.ask(script, [base64.b64encode(encoded.getvalue()).decode(), 13])
    player.page.wait_for_function("() => document.querySelector('#say').textContent.includes('files are on pads')")
    said = player.page.inner_text("#say")
    assert said.startswith("1 of 4 files are on pads. ")
    assert all(each in said for each in ("Notes.txt: ", "empty.wav: is empty", "no pad is left for one more"))
    assert [pad["sound"] for pad in player.pads()[14:]] == [pad["sound"] for pad in before[14:]]
    assert player.pads()[13]["name"] == "one"
    player.problems.clear()  # the browser's own words on answers that refuse
    large = """async () => { const file = new File(["x"], "long.wav");
        Object.defineProperty(file, "size", { value: 10 ** 9 });
        return await fauxley.desk.drop(file, 5); }"""
    assert player.ask(large).startswith("long.wav is larger than 32 MB")
    gone = """async () => { const file = new File(["x"], "folder");
        file.slice = () => ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotFoundError")) });
        return await fauxley.desk.drop(file, 5); }"""
    assert player.ask(gone).startswith("folder cannot be read. A folder of sounds is opened with")


def test_a_kit_for_samplers_is_saved(player: Player) -> None:
    archive = zipfile.ZipFile(io.BytesIO(player.download(player.menu("Save a kit"))))
    assert "kit.sfz" in archive.namelist()
    assert len({name.split("/")[1] for name in archive.namelist() if name.endswith(".wav")}) == 16
    player.page.wait_for_function("() => document.querySelector('#say').textContent.startsWith('Saved as')")


def test_stars_go_to_the_shelf_and_stay(browser: Any, drums_model: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    with serving(str(drums_model), "--shelf", str(shelf)) as address:
        player = Player(browser, address)
        player.press("q")
        player.press("g")
        player.page.wait_for_selector(".pad.starred")
        player.page.wait_for_function("() => [...fauxley.desk.shelf.values()][0].file")
        (written,) = shelf.glob("*.wav")
        samples, _ = soundfile.read(written)
        np.testing.assert_allclose(samples, player.rendered(4)[0], atol=1 / 32768)
        player.page.wait_for_timeout(600)
        player.page.reload()
        player.wait()
        player.page.click(".panel-tabs [data-show=library]")
        player.page.click("#panel-library .button:has-text('Shelf')")
        player.page.wait_for_selector(".sounds li")
        player.page.click(".sounds .star")
        player.page.wait_for_selector(".sounds li", state="detached")
        player.page.wait_for_function("() => !document.querySelector('.pad.starred')")
        player.leave()
        assert not list(shelf.glob("*.wav"))


def test_a_folder_is_listened_through_by_keys(browser: Any, sounds: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with serving(str(sounds), "--kept", str(kept), "--token", "sesame") as address:
        player = Player(browser, address)
        assert "token" not in player.page.url
        player.page.wait_for_selector(".files li[aria-selected=true]")
        for key in ("ArrowDown", "ArrowDown", "k", "x", "k", "k", "ArrowUp", "k"):
            player.page.keyboard.press(key)
        assert "2 kept, 1 rejected, 27 to go" in player.page.inner_text(".audition-now")
        names = player.page.locator(".files li.kept .file-name").all_text_contents()
        player.page.select_option(".audition-list select", "length")
        seconds = player.page.locator(".file-facts").all_text_contents()
        lengths = [float(each.split()[0]) for each in seconds if "LUFS" in each]
        assert lengths == sorted(lengths)
        player.page.click(".button:has-text('Copy keepers')")
        player.page.wait_for_function("() => document.querySelector('#say').textContent.includes('copied')")
        assert sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*.*")) == sorted(names)
        player.page.reload()
        player.page.wait_for_selector(".files li.kept")
        player.leave()


def test_the_map_is_of_principal_components_and_its_axes_mean_something(player: Player) -> None:
    random = np.random.default_rng(3)
    time = np.arange(8000) / 16_000
    tones = [np.sin(2 * np.pi * hertz * time) * np.exp(-6 * time) for hertz in random.uniform(80, 160, 20)]
    noises = [random.standard_normal(8000) * np.exp(-rate * time) for rate in random.uniform(3, 30, 20)]
    rows = [list(likeness(sound[None].astype(np.float32), 16_000)) for sound in (*tones, *noises)]
    script = """async samples => (await import('./likeness.js')).likeness({
        id: "", facts: {}, sampleRate: 16000, channels: [Float32Array.from(samples)] })"""
    for sound, row in ((tones[0], rows[0]), (noises[0], rows[20])):
        np.testing.assert_allclose(player.ask(script, sound.tolist()), row, atol=0.06)  # Python's are rounded
    scores = np.array(player.ask("async rows => (await import('./layout.js')).principal(rows, 2)", rows))
    centred = np.array(rows) - np.mean(rows, axis=0)
    expected = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    for ours, theirs in zip(scores.T, expected.T, strict=True):
        np.testing.assert_allclose(np.sign(ours @ theirs) * ours, theirs, atol=1e-3 * np.abs(theirs).max())
    laid = player.ask("async rows => (await import('./layout.js')).layout(rows)", rows)
    places = np.array(laid["places"])
    assert places.min() >= 0
    assert places.max() <= 1
    away = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(40)
    assert [(nearest < 20) == (sound < 20) for sound, nearest in enumerate(away.argmin(axis=1))].count(False) == 0
    assert laid["axes"][0] == {"low": "darker", "high": "brighter"}
    assert places[:20, 0].max() < places[20:, 0].min()
    assert laid["axes"][1] == {"low": "shorter", "high": "longer"}
    decays = [sum(abs(noise) > 0.01) for noise in noises]
    assert np.corrcoef(places[20:, 1], decays)[0, 1] > 0.8
    for few in (rows[:1], rows[:2], [rows[0]] * 3):
        assert np.isfinite(player.ask("async rows => (await import('./layout.js')).layout(rows).places", few)).all()


def test_all_that_was_made_is_browsed_on_a_map(player: Player) -> None:
    player.page.click(".panel-tabs [data-show=library]")
    player.page.click("#panel-library .button[aria-label='As a map']")
    player.page.wait_for_selector("#panel-library .map-part ~ .sounds li")
    assert player.page.locator("#panel-library .sounds li:visible").count() == 1
    player.page.focus("#panel-library .map")
    seen = set[str]()
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowDown"):
        player.page.keyboard.press(key)
        player.page.wait_for_timeout(100)
        seen.add(player.page.inner_text("#panel-library .map-tip"))
    assert len(seen) > 2
    name = player.page.inner_text("#panel-library .map-tip")
    player.page.keyboard.press("Enter")
    assert player.pads()[0]["name"] == name
    player.page.click("#panel-library .sounds li:visible .star")
    player.page.wait_for_selector("#panel-library .sounds li:visible .star[aria-pressed=true]")
    player.page.click("#panel-library .sounds li:visible .star")


def test_a_folder_is_browsed_on_a_map(browser: Any, sounds: Path, tmp_path: Path) -> None:
    with serving(str(sounds), "--kept", str(tmp_path / "kept")) as address:
        player = Player(browser, address)
        player.page.wait_for_function("() => !document.querySelector('.audition-list [role=status]').textContent")
        player.ask(
            """() => { window.heard = 0; const { player } = fauxley.desk, play = player.play;
            player.play = function () { heard += 1; return play.apply(this, arguments); }; }"""
        )
        player.page.click(".audition-list .button:has-text('Map')")
        assert player.page.is_visible("#audition .map")
        assert not player.page.is_visible("#audition .files")
        assert player.page.locator("#audition .legend li").all_text_contents() == ["hat 10", "kick 10", "snare 10"]
        player.page.focus("#audition .map")
        for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
            player.page.keyboard.press(key)
        player.page.wait_for_function("() => heard > 0")
        player.page.keyboard.press("k")
        player.page.wait_for_function("() => document.querySelector('.audition-now').textContent.includes('1 kept')")
        box = player.page.locator("#audition .map").bounding_box()
        before, seen = player.page.inner_text(".file-title"), set[str]()
        for x in range(20, int(box["width"]), 25):
            player.page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
            seen.add(player.page.inner_text("#audition .map-tip"))
        assert len(seen) > 3
        assert player.page.inner_text(".file-title") == before  # passing by is no choice
        name = player.page.inner_text("#audition .map-tip")
        player.page.mouse.click(box["x"] + x, box["y"] + box["height"] / 2)
        if name != before:
            assert player.page.inner_text(".file-title") == name
        player.leave()


@pytest.mark.parametrize(
    "options",
    [PHONE, {"viewport": {"width": 768, "height": 1024}}, DESK, {"viewport": {"width": 3840, "height": 2160}}],
    ids=["phone", "tablet", "desk", "4k"],
)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_off_and_all_has_a_name(browser: Any, address: str, options: dict[str, Any], theme: str) -> None:
    player = Player(browser, address, color_scheme=theme, **options)
    nameless = """() => [...document.querySelectorAll('button, input, select, [role=slider]')].filter(each => {
        const label = each.getAttribute('aria-label') || each.textContent.trim()
            || each.closest('label')?.textContent.trim()
            || document.getElementById(each.getAttribute('aria-labelledby'))?.textContent;
        return !label; }).map(each => each.outerHTML.slice(0, 100))"""
    views = ["pads", "sound", "morph", "steps", "library"] if options is PHONE else ["sound", "morph", "library"]
    for view in views:
        player.page.click(f"{'.bottom' if options is PHONE else '.panel-tabs'} [data-show={view}]")
        assert player.ask("() => document.documentElement.scrollWidth <= innerWidth"), view
        assert player.ask(nameless) == []
    assert player.ask("() => document.documentElement.dataset.theme") == theme
    if options is PHONE:
        player.page.tap(".bottom [data-show=pads]")
        player.page.tap("[data-pad='6']")
        assert player.page.locator(".pad[aria-current]").get_attribute("data-pad") == "6"
    player.leave()


def test_a_locked_pad_keeps_its_sound_whatever_is_asked(player: Player) -> None:
    player.press("1")
    player.press("l")
    before = player.pads()[0]
    for keys in ("n", "b", "Shift+N", "Shift+B"):
        player.press(keys)
    drop(player, 0, "x.wav", b"RIFF")
    assert player.pads()[0] == before
    assert "locked" in (player.page.get_attribute("[data-pad='0']", "aria-label") or "")


def test_midi_plays_pads_as_hard_as_they_are_struck(player: Player) -> None:
    player.ask(
        """() => { window.heard = []; const { player } = fauxley.desk, play = player.play;
        player.play = function (pad, sound, settings, velocity) {
            heard.push([pad, velocity]); return play.apply(this, arguments); };
        window.keyboard = { name: 'keys' };
        navigator.requestMIDIAccess = async () => ({ inputs: new Map([['a', keyboard]]) }); }"""
    )
    player.page.click(player.menu("Connect MIDI"))
    player.page.wait_for_function("() => keyboard.onmidimessage")
    for message in ([0x90, 36, 127], [0x80, 36, 0], [0x99, 40, 64], [0x90, 41, 0], [0xB0, 36, 9], [0x90, 53, 127]):
        player.ask("data => keyboard.onmidimessage({ data: new Uint8Array(data) })", message)
    assert player.ask("() => heard.map(([pad, velocity]) => [pad, Math.round(127 * velocity)])") == [
        [0, 127],
        [4, 64],
        [1, 127],
    ]


def test_sounds_of_a_label_are_asked_for(browser: Any, kinds_model: Path, tmp_path: Path) -> None:
    with serving(str(kinds_model), "--shelf", str(tmp_path / "shelf")) as address:
        player = Player(browser, address)
        names = [pad["name"].split()[0] for pad in player.pads()]
        assert sorted(names.count(name) for name in ("hat", "kick", "snare")) == [5, 5, 6]
        player.page.select_option("#models select[aria-label='Kind of new sounds']", "snare")
        player.press("n")
        facts = player.facts(0)
        assert facts["labels"] == {"snare": 1}
        synthesizer = Synthesizer.from_pretrained(kinds_model)
        expected = synthesizer.generate(1, seed=facts["seed"], labels="snare").numpy()[0]
        np.testing.assert_allclose(player.rendered(0), expected, atol=1e-6)
        player.press("b")
        assert player.facts(0)["labels"] == {"snare": 1}
        player.leave()
