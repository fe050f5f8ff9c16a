"""Signals: at once where there is nothing to save, else between two steps, and at once when they come again."""

import os
import signal

import pytest

from hrm.training.interrupts import Interrupts

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_with_nothing_to_save_it_ends_at_once(signum: int) -> None:
    """As while the first step is compiled."""
    with Interrupts(), pytest.raises(SystemExit) as ended:
        send(signum)
    assert ended.value.code == 128 + signum


def test_the_first_is_noted_and_the_second_ends() -> None:
    with Interrupts() as signals:
        signals.at_once = False
        send(signal.SIGINT)
        assert signals.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_a_launcher_may_forward_what_came_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with Interrupts() as signals:
        signals.at_once = False
        send(signal.SIGINT)
        send(signal.SIGINT)
        assert signals.received == signal.SIGINT


def test_handlers_are_given_back_and_nohup_is_heeded() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        handlers = [signal.getsignal(signum) for signum in HANDLED]
        with Interrupts() as signals:
            signals.at_once = False
            send(signal.SIGHUP)
            assert not signals.received
        assert [signal.getsignal(signum) for signum in HANDLED] == handlers
    finally:
        signal.signal(signal.SIGHUP, before)
