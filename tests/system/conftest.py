"""Guests for the tests that need a real kernel."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine

import stepvisor
from stepvisor.guest.distribution import GuestFiles, default_guest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))


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
