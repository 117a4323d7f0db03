"""The listening page in a real browser, from the first page to the last, on a desk and in a hand."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fauxley.cli.main import main
from fauxley.listening.study import ANSWERS_FILE

from .listening import serving

pytestmark = pytest.mark.slow

DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}
# Sounds at sixteen times their speed.
QUICK = """
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () { this.playbackRate = 16; return play.call(this); };
"""


@pytest.fixture
def study(request: pytest.FixtureRequest, dataset: Path, run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    sources = ["--models", str(run), "--real", str(dataset), "--clips", "10", "--no-anchors"]
    options = ["--pairs", "1", "--verdicts", "1", "--quiet", *getattr(request, "param", [])]
    assert main(["listen", "create", str(folder), *sources, *options]) == 0
    return folder


class Visitor:
    """Someone at the page."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.page.add_init_script(QUICK)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        self.page.on("request", lambda request: self._watch(request.url, address))
        self.page.goto(address)

    def _watch(self, url: str, address: str) -> None:
        if not url.startswith((address, "blob:")):
            self.problems.append(f"asked elsewhere: {url}")

    @property
    def heading(self) -> str:
        return self.page.inner_text("h1")

    def choose(self, place: int) -> None:
        """Answer what is asked by touch or mouse."""
        for field in self.page.locator("fieldset").all():
            options = field.locator(".choice")
            options.nth(place % options.count()).click()

    def go_on(self, press: str = "") -> None:
        """Next, once it can be."""
        self.page.evaluate("window.before = document.querySelector('h1')")
        self.page.wait_for_selector(".next:enabled")
        self.page.keyboard.press(press) if press else self.page.click(".next")
        self.page.wait_for_function("() => !window.before.isConnected")

    def fits(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def listen_to_the_end(visitor: Visitor, until: str = "Thank you!") -> list[str]:
    """Answer everything; the headings on the way."""
    seen = [visitor.heading]
    while visitor.heading != until:
        if visitor.heading == "Set your volume":
            visitor.page.click(".play")
        visitor.choose(len(seen))
        assert visitor.fits()
        visitor.go_on()
        seen.append(visitor.heading)
    return seen


@pytest.mark.parametrize(
    ("device", "study", "tones"),
    [(DESK, ["--no-headphones"], 0), (PHONE, [], 6)],
    ids=["desk", "phone"],
    indirect=["study"],
)
def test_a_whole_study_with_a_reload_in_the_middle(
    browser: Any, study: Path, device: dict[str, Any], tones: int
) -> None:
    with serving(study) as (_, address):
        visitor = Visitor(browser, address, **device)
        visitor.page.wait_for_selector("h1")
        before = listen_to_the_end(visitor, until="How was this batch?")
        assert before.count("Which tone is the softest?") == tones
        done = visitor.page.locator("#progress").evaluate("bar => bar.value")
        visitor.page.reload()
        visitor.page.wait_for_selector("h1")
        assert visitor.page.locator("#progress").evaluate("bar => bar.value") == done > 0
        assert visitor.page.inner_text(".next").startswith("Go on")
        after = listen_to_the_end(visitor)
        assert {"What do you hear?", "How was this batch?", "Which sounds better?", "Real or generated?"} <= set(after)
        visitor.page.reload()
        visitor.page.wait_for_selector("text=Thank you!")
        visitor.page.click("text=Someone else")
        visitor.go_on()
        assert visitor.heading == "Set your volume"
        assert visitor.problems == []
        visitor.context.close()
    with sqlite3.connect(study / ANSWERS_FILE) as db:
        asked, answered = db.execute(
            "SELECT COUNT(*), COUNT(answer.trial) FROM trial LEFT JOIN answer ON trial = id WHERE listener = 0"
        ).fetchone()
    db.close()
    assert asked == answered == 1 + tones + 2 * 12 + 1 + 2
    assert main(["listen", "report", str(study), "--out", str(study.parent / "report"), "--quiet"]) == 0


def test_the_keyboard_is_enough(browser: Any, study: Path) -> None:
    with serving(study) as (_, address):
        visitor = Visitor(browser, address, **DESK)
        visitor.page.wait_for_selector("h1")
        visitor.go_on("Enter")
        visitor.page.wait_for_selector(".play:enabled")
        visitor.page.keyboard.press(" ")
        visitor.go_on("Enter")
        for _ in range(6):
            visitor.page.keyboard.press("2")
            visitor.go_on("Enter")
        visitor.go_on("Enter")
        for key in ("1", "0"):
            visitor.page.keyboard.press(key)
            visitor.go_on("Enter")
        visitor.page.keyboard.press("Tab")
        assert visitor.page.evaluate("document.activeElement.className") == "play"
        visitor.context.close()
    with sqlite3.connect(study / ANSWERS_FILE) as db:
        choices = [row[0] for row in db.execute("SELECT choice FROM answer ORDER BY rowid")]
    db.close()
    assert choices[:7] == ["ok", *6 * ["2"]]
    assert choices[8] == "?"


@pytest.mark.parametrize("study", [["--tasks", "pairs"]], indirect=True)
def test_an_answer_given_while_the_server_is_away_is_sent_when_it_is_back(browser: Any, study: Path) -> None:
    with serving(study) as (_, address):
        visitor = Visitor(browser, address, **PHONE)
        visitor.page.wait_for_selector("h1")
        visitor.go_on()
        visitor.page.click(".play")
        visitor.page.wait_for_selector(".next:enabled")
        visitor.context.set_offline(True)
        visitor.page.click(".next")
        visitor.page.wait_for_selector("#status.waiting")
        visitor.page.close()  # and the phone is put away
        visitor.context.set_offline(False)
        again = visitor.context.new_page()
        again.goto(address)
        again.wait_for_selector("text=Headphone check, 1 of 6")
        visitor.context.close()
    with sqlite3.connect(study / ANSWERS_FILE) as db:
        assert db.execute("SELECT choice FROM answer").fetchall() == [("ok",)]
    db.close()


def test_what_people_need_who_do_not_see_or_touch_as_others_do(browser: Any, study: Path) -> None:
    with serving(study) as (_, address):
        for scheme in ("light", "dark"):
            visitor = Visitor(browser, address, **PHONE, color_scheme=scheme)
            visitor.page.wait_for_selector("h1")
            visitor.go_on()
            visitor.page.click(".play")
            visitor.go_on()
            assert visitor.page.evaluate("document.activeElement.tagName") == "H1"
            unnamed = visitor.page.evaluate(
                "[...document.querySelectorAll('button, input')].filter(e => !(e.getAttribute('aria-label') "
                "|| e.textContent.trim() || e.labels?.length)).length"
            )
            assert unnamed == 0
            boxes = [each.bounding_box() for each in visitor.page.locator(".choice, button").all()]
            assert min(min(box["width"], box["height"]) for box in boxes) >= 44
            for selector in ("h1", ".where", "legend", ".choice span", ".why", "#title"):
                assert contrast(visitor.page, selector) >= 4.5, (scheme, selector)
            visitor.context.close()


def contrast(page: Any, selector: str) -> float:
    """WCAG's contrast of a text with the nearest background behind it."""
    colours = page.evaluate(
        """selector => {
          let element = document.querySelector(selector);
          const text = getComputedStyle(element).color;
          let behind = "rgba(0, 0, 0, 0)";
          for (; element && behind === "rgba(0, 0, 0, 0)"; element = element.parentElement)
            behind = getComputedStyle(element).backgroundColor;
          return [text, behind];
        }""",
        selector,
    )
    first, second = sorted(map(luminance, colours), reverse=True)
    return (first + 0.05) / (second + 0.05)


def luminance(colour: str) -> float:
    values = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
