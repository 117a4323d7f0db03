"""What several tests of sounds share."""

import sys

import pytest


@pytest.fixture(params=[True, False], ids=["ffmpeg", "without ffmpeg"])
def with_ffmpeg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run a test with FFmpeg and without it."""
    if request.param:
        pytest.importorskip("av", reason="needs fauxley[ffmpeg]")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    return request.param
