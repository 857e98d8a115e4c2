"""What QEMU and a guest's console say, made to cost time or to end in a traceback."""

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stepvisor._gen import wire
from stepvisor.errors import GuestError, MachineError, MonitorError, SetupError
from stepvisor.machine.console import Console
from stepvisor.machine.devicetree import read_board
from stepvisor.machine.qemu import qemu_version
from stepvisor.machine.qmp import Qmp
from stepvisor.monitor.events import Drained
from stepvisor.monitor.ring import RingReader
from stepvisor.symbols.table import SymbolTable
from stepvisor.symbols.task import find_first_task
from stepvisor.trace.shell import Shell, _command_line
from stepvisor.trace.step_plan import task_filter

PATIENCE = 20


def test_json_without_bottom() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Thread(target=theirs.sendall, args=(b"[" * 200_000 + b"\n",)).start()
        with pytest.raises(MachineError, match="not JSON"):
            Qmp(ours).connect()


@pytest.mark.timeout(60)
def test_a_qemu_that_speaks_all_the_time_and_does_not_answer() -> None:
    ours, theirs = socket.socketpair()
    event = json.dumps({"event": "X"}).encode() + b"\n"

    def speak() -> None:
        try:
            while True:
                theirs.sendall(event * 100)
        except OSError:
            return

    with theirs:
        speaker = threading.Thread(target=speak)
        speaker.start()
        with ours, pytest.raises(MachineError, match=r"did not answer on QMP within 0\.3 s"):
            Qmp(ours, timeout=0.3).command("cont")
        speaker.join()


def test_a_line_in_small_pieces() -> None:
    """Quadratic where each piece is looked for from the start of the line."""
    ours, theirs = socket.socketpair()
    line = b'{"QMP": {"x": "' + b"x" * 900_000
    with ours, theirs:
        qmp = Qmp(ours)

        def speak() -> None:
            for at in range(0, len(line), 10):
                theirs.sendall(line[at : at + 10])
            theirs.sendall(b'"}}\n')

        threading.Thread(target=speak).start()
        start = time.thread_time()
        with pytest.raises(MachineError, match="not QMP"):
            qmp.connect()
        assert time.thread_time() - start < PATIENCE


def shell_that_hears(answer: Callable[[bytes], bytes]) -> tuple[Shell, Console, threading.Thread]:
    """A shell's other end: `answer` makes what it says from the number that was typed."""
    ours, theirs = socket.socketpair()

    def speak() -> None:
        with theirs, contextlib.suppress(ConnectionError):
            typed = theirs.recv(1 << 16)
            nonce = re.search(rb"[0-9a-f]{16}", typed)
            assert nonce is not None
            theirs.sendall(answer(nonce[0]))
            theirs.recv(1)

    console = Console(ours)
    shell = Shell(console, lambda: None)
    shell._ready = True
    thread = threading.Thread(target=speak)
    thread.start()
    return shell, console, thread


@pytest.mark.parametrize("code", [b"9" * 5000, b"99999", b"\xd9\xa3"])
def test_exit_codes_that_are_none(code: bytes) -> None:
    shell, console, thread = shell_that_hears(
        lambda nonce: b"\n%b-begin\nx\n%b-end %b\n" % (nonce, nonce, code)
    )

    with pytest.raises(GuestError, match="did not end within"):
        shell.run("x", timeout=0.5)

    console.close()
    thread.join()


def test_ends_before_beginnings() -> None:
    """Quadratic where an end is looked for from each beginning."""
    shell, console, thread = shell_that_hears(
        lambda nonce: b"\n%b-end 0\n" % nonce + (b"\n%b-begin\n" % nonce) * 30_000
    )
    start = time.process_time()

    with pytest.raises(GuestError, match="printed more than the console keeps"):
        shell.run("x", timeout=30)

    assert time.process_time() - start < PATIENCE
    console.close()
    thread.join()


def test_a_tree_of_many_nodes() -> None:
    """The library that reads it compares the name of each node with all beside it."""
    count = 60_000
    nodes = b"".join(struct.pack(">I8sI", 1, b"%07d\0" % n, 2) for n in range(count))
    body = struct.pack(">II", 1, 0) + nodes + struct.pack(">II", 2, 9)
    head = (0xD00DFEED, 56 + len(body), 56, 56 + len(body), 40, 17, 16, 0, 0, len(body))

    with pytest.raises(MachineError, match="more nodes than any board"):
        read_board(struct.pack(">10I", *head) + bytes(16) + body)


def ring_that_lost(lost: int) -> RingReader:
    """A LOST record, and a hit of the number after it."""
    data = np.zeros(4096, np.uint8)
    first = data[: wire.RECORD_LOST.itemsize].view(wire.RECORD_LOST)
    first["type"], first["size"] = wire.Record.LOST, wire.RECORD_LOST.itemsize
    first["lost"] = first["sequence"] = lost
    end = wire.RECORD_LOST.itemsize
    hit = data[end : end + wire.RECORD_HIT.itemsize].view(wire.RECORD_HIT)
    hit["type"], hit["size"] = wire.Record.HIT, wire.RECORD_HIT.itemsize
    hit["sequence"] = lost
    index = np.zeros(1, wire.RING_INDEX)
    index["head"] = end + wire.RECORD_HIT.itemsize
    return RingReader(0, data, index)


def test_a_ring_that_lost_a_record() -> None:
    into = Drained()
    ring_that_lost(1).drain(into)

    assert len(into.hits) == len(into.notices) == 1


@pytest.mark.parametrize("lost", [(1 << 62) + 1, (1 << 64) - 1])
def test_a_ring_that_lost_more_than_there_was(lost: int) -> None:
    with pytest.raises(MonitorError, match="more records are lost"):
        ring_that_lost(lost).drain(Drained())


def test_a_kernel_that_is_full_of_first_tasks() -> None:
    """Around each of their names is looked for the task."""
    kernel = b"\x40\0\0\0\0\0\0\xff" * 2048 + b"swapper".ljust(16, b"\0") * 500_000
    table = SymbolTable([], "", np.zeros(0, np.uint64), 1 << 63, (1 << 63) + len(kernel))
    start = time.process_time()

    assert find_first_task(table, kernel, 1 << 63) is None
    assert time.process_time() - start < PATIENCE


def test_a_command_that_is_not_utf_8() -> None:
    """As it comes from a command line with such bytes."""
    assert b"echo \xff" in _command_line("echo \udcff", "nonce")


def test_a_task_whose_name_is_not_utf_8() -> None:
    assert task_filter("\udcffx", lambda: 8).name == b"\xffx"


def test_a_qemu_that_says_what_is_no_text(tmp_path: Path) -> None:
    program = tmp_path / "qemu"
    program.write_bytes(b"#!/bin/sh\nprintf '\\377\\033]0;x\\007'\n")
    program.chmod(0o755)

    with pytest.raises(SetupError, match="does not say that it is QEMU") as raised:
        qemu_version(program)
    assert str(raised.value).isprintable()
