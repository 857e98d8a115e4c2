"""Guests for the tests that need a real kernel."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine

import stepvisor
from stepvisor.guest.distribution import GuestFiles, default_guest

_HANG_SECONDS = 280.0

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """A minute is long for a command, but not where others have the processors: pytest's own
    time-out ends what hangs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stepvisor.Guest.run, "__defaults__", (_HANG_SECONDS,))
        patch.setitem(stepvisor.Guest.step.__kwdefaults__, "timeout", _HANG_SECONDS)
        yield


@pytest.fixture(scope="session")
def files() -> GuestFiles:
    """The default guest."""
    return default_guest()


@pytest.fixture(scope="module")
def guest() -> Iterator[stepvisor.Guest]:
    """One running guest for a whole module."""
    with stepvisor.boot() as guest:
        guest.wait_ready()
        yield guest


@pytest.fixture
def command_line() -> CommandLine:
    return CommandLine()
