"""Being asked to stop, once and insistently."""

import os
import signal

import pytest

from fauxley.stopping import stop_signals


def test_a_second_signal_kills_as_usual():
    with stop_signals() as received:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert received == [signal.SIGINT]


def test_under_torchrun_every_signal_is_only_collected():
    before = signal.getsignal(signal.SIGINT)
    with stop_signals(insistent=False) as received:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert received == [signal.SIGINT, signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is before
