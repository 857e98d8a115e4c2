"""The parts of a machine that need no QEMU."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import fdt
import pytest

from stepvisor.errors import GuestConfigError, GuestError, MachineError, SetupError
from stepvisor.machine.config import MIB, MachineConfig, parse_size
from stepvisor.machine.console import Console
from stepvisor.machine.devicetree import edit_tree, find_tree, read_board
from stepvisor.machine.layout import place
from stepvisor.machine.process import BoundProcess
from stepvisor.machine.qemu import find_qemu, qemu_argv, qemu_version
from stepvisor.machine.qmp import Qmp
from stepvisor.machine.ram import GuestRam

BASE = 0x4000_0000


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("1G", 1 << 30), ("768", 768 << 20), ("2g", 2 << 30), ("1GiB", 1 << 30)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1.5G", "1P", "0x10", "1G1", "\uff19"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(GuestConfigError, match="512M or 1G"):
        parse_size(text)


@pytest.mark.parametrize(
    "values",
    [
        {"vcpus": 0},
        {"vcpus": 9},
        {"cpu": ""},
        {"cpu": "max;id"},
        {"cpu": "-S"},
        {"memory": 0},
        {"memory": (1 << 30) + 4096},
        {"memory": 1 << 50},
    ],
)
def test_impossible_machines(values: dict[str, object]) -> None:
    with pytest.raises(GuestConfigError):
        MachineConfig(**values)  # type: ignore[arg-type]


class TestRam:
    def test_reads_what_was_written(self) -> None:
        with GuestRam(BASE, 1 << 20) as ram:
            ram.write(BASE + 4095, b"across pages")

            assert ram.read(BASE + 4095, 12) == b"across pages"
            assert bytes(ram.view(BASE + 4096, 4096)[:11]) == b"cross pages"[:11]

    @pytest.mark.parametrize(("at", "size"), [(-1, 1), (1 << 20, 1), ((1 << 20) - 1, 2), (0, -1)])
    def test_outside(self, at: int, size: int) -> None:
        with GuestRam(BASE, 1 << 20) as ram, pytest.raises(MachineError, match="outside guest RAM"):
            ram.read(BASE + at, size)

    def test_closed(self) -> None:
        ram = GuestRam(BASE, 1 << 20)
        view = ram.view(BASE, 4096)
        ram.close()
        ram.close()

        assert view[0] == 0
        with pytest.raises(MachineError, match="closed"):
            ram.read(BASE, 1)

    def test_unaligned_view(self) -> None:
        with GuestRam(BASE, 1 << 20) as ram, pytest.raises(MachineError, match="start on a page"):
            ram.view(BASE + 8, 8)


class TestPlacement:
    def test_nothing_overlaps(self) -> None:
        """image_size, not the file's size, is what the kernel takes."""
        image_size, initrd_size = 33 * MIB + 5, 3 * MIB + 1
        where = place(
            base=BASE,
            size=1 << 30,
            text_offset=0x80000,
            image_size=image_size,
            initrd_size=initrd_size,
        )

        assert where.kernel == BASE + 0x80000
        assert where.kernel + image_size <= where.tree
        assert where.tree % (2 * MIB) == 0
        assert where.tree + where.tree_room <= where.initrd
        assert where.initrd % (2 * MIB) == 0
        assert where.initrd + initrd_size <= BASE + (1 << 30)

    def test_the_message_tells_the_truth(self) -> None:
        def attempt(size: int) -> None:
            place(base=BASE, size=size, text_offset=0, image_size=40 * MIB, initrd_size=9 * MIB)

        with pytest.raises(GuestConfigError, match="too little memory: 32 MiB") as error:
            attempt(32 * MIB)
        match = re.search(r"at least (\d+) MiB", str(error.value))
        assert match is not None

        attempt(int(match[1]) * MIB)
        with pytest.raises(GuestConfigError):
            attempt((int(match[1]) - 2) * MIB)


def board_tree() -> bytes:
    """A device tree as QEMU makes it, as far as it matters."""
    tree = fdt.FDT(header=fdt.Header(), entries=[])
    tree.header.version = 17
    for path, reg in {
        "memory@40000000": [0, BASE, 0, 1 << 30],
        "fw-cfg@9020000": [0, 0x902_0010, 0, 0x18],
        "pl011@9000000": [0, 0x900_0000, 0, 0x1000],
        "intc@8000000": [0, 0x800_0000, 0, 0x10000, 0, 0x80A_0000, 0, 0xF60000],
    }.items():
        node = fdt.Node(path)
        node.append(fdt.PropWords("reg", *reg))
        tree.root.append(node)
    chosen = fdt.Node("chosen")
    chosen.append(fdt.PropWords("kaslr-seed", 0x61626364, 0x65666700))
    chosen.append(fdt.PropStrings("stdout-path", "/pl011@9000000"))
    tree.root.append(chosen)
    return bytes(tree.to_dtb(version=17))


def flatten(tree: bytes) -> dict[str, bytes]:
    """Independent reader of a flattened device tree: path of each property to its raw bytes."""
    _, _, structure, strings = struct.unpack_from(">4I", tree)
    properties, path, at = {}, [], structure
    while True:
        (token,) = struct.unpack_from(">I", tree, at)
        at += 4
        if token == 1:
            end = tree.index(b"\0", at)
            path.append(tree[at:end].decode())
            at = (end + 4) & ~3
        elif token == 2:
            path.pop()
        elif token == 3:
            size, name = struct.unpack_from(">II", tree, at)
            start = strings + name
            key = tree[start : tree.index(b"\0", start)].decode()
            properties["/".join([*path, key])] = tree[at + 8 : at + 8 + size]
            at = (at + 8 + size + 3) & ~3
        elif token == 9:
            return properties


def reservations(tree: bytes) -> list[tuple[int, int]]:
    """Independent reader of the memory reservation block: what lies before the structure."""
    structure, _, start = struct.unpack_from(">3I", tree, 8)
    words = struct.unpack_from(f">{(structure - start) // 8}Q", tree, start)
    assert words[-2:] == (0, 0)
    return list(zip(words[:-2:2], words[1:-2:2], strict=True))


class TestDeviceTree:
    def test_board(self) -> None:
        board = read_board(board_tree())

        assert (board.ram_base, board.ram_size) == (BASE, 1 << 30)
        assert (board.gicd_base, board.gicr_base) == (0x800_0000, 0x80A_0000)
        assert board.uart_base == 0x900_0000
        assert (board.forbidden_base, board.forbidden_size) == (0x902_0000, 4096)

    def test_what_the_guest_gets(self) -> None:
        """Memory moved, fw_cfg gone, arguments in, everything else byte for byte."""
        tree = board_tree()
        edited = edit_tree(
            tree,
            memory=(0x4800_0000, 0x1_3800_0000),
            bootargs="console=ttyAMA0 quiet",
            initrd=(0x1_5000_0000, 0x123),
        )
        before, after = flatten(tree), flatten(edited)

        assert after["/memory@48000000/reg"] == struct.pack(">QQ", 0x4800_0000, 0x1_3800_0000)
        assert after["/chosen/bootargs"] == b"console=ttyAMA0 quiet\0"
        assert after["/chosen/linux,initrd-start"] == struct.pack(">Q", 0x1_5000_0000)
        assert after["/chosen/linux,initrd-end"] == struct.pack(">Q", 0x1_5000_0123)
        assert "fw-cfg" not in "".join(after)
        for path, value in before.items():
            if "memory@" not in path and "fw-cfg" not in path:
                assert after[path] == value

    @pytest.mark.parametrize("seed", [b"abcdefg\0", b"\0abc\0de\0", bytes(8), b"\xff" * 8])
    def test_a_seed_of_any_bytes_survives(self, seed: bytes) -> None:
        tree = board_tree().replace(struct.pack(">II", 0x61626364, 0x65666700), seed)

        edited = edit_tree(tree, memory=(BASE, MIB), bootargs="", initrd=None)

        assert flatten(edited)["/chosen/kaslr-seed"] == seed
        assert "/chosen/linux,initrd-start" not in flatten(edited)

    @pytest.mark.parametrize("end", [-1, -2000], ids=["whole", "damaged"])
    def test_reservations_are_of_this_tree_alone(self, end: int) -> None:
        """One tree read before, whole or not, reserves nothing in the memory of the next guest."""
        source = fdt.parse_dtb(board_tree())
        source.entries = [{"address": BASE + page * 4096, "size": 4096} for page in range(200)]
        reserving = bytes(source.to_dtb(version=17))
        with suppress(MachineError):
            read_board(reserving[:end])

        edited = edit_tree(board_tree(), memory=(BASE, MIB), bootargs="", initrd=None)
        kept = edit_tree(reserving, memory=(BASE, MIB), bootargs="", initrd=None)

        assert reservations(edited) == []
        assert reservations(kept) == [(BASE + page * 4096, 4096) for page in range(200)]

    @pytest.mark.parametrize("tree", [b"", bytes(100), b"\xd0\x0d\xfe\xed" + bytes(40)])
    def test_no_tree(self, tree: bytes) -> None:
        with pytest.raises(MachineError):
            read_board(tree)

    def test_found_in_memory(self) -> None:
        tree = board_tree()
        with GuestRam(BASE, 64 * MIB) as ram:
            with pytest.raises(MachineError, match="no device tree"):
                find_tree(ram)
            ram.write(BASE + 4 * MIB, b"\xd0\x0d\xfe\xed" + b"\xff" * 36)
            ram.write(BASE + 32 * MIB, tree)

            assert find_tree(ram) == tree


@pytest.fixture
def wires() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


class TestQmp:
    GREETING = b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}}}}\r\n'

    def test_conversation(self, wires: tuple[socket.socket, socket.socket]) -> None:
        """Greeting, negotiation, an event in between, an answer in two pieces."""
        ours, theirs = wires
        theirs.sendall(self.GREETING + b'{"event": "X"}\r\n{"return": {}, "id": 1}\r\n')
        qmp = Qmp(ours)
        qmp.connect()
        theirs.sendall(b'{"return": {"sta')
        theirs.sendall(b'tus": "paused"}, "id": 2}\r\n')

        assert qmp.version == (7, 2, 22)
        assert qmp.command("query-status") == {"status": "paused"}
        sent = [json.loads(line) for line in theirs.recv(4096).splitlines()]
        assert [message["execute"] for message in sent] == ["qmp_capabilities", "query-status"]

    @pytest.mark.parametrize(
        "answer", [b'{"error": {"desc": "no"}, "id": 1}\n', b"nonsense\n", b"[]\n", b"7\n"]
    )
    def test_refusals(self, wires: tuple[socket.socket, socket.socket], answer: bytes) -> None:
        ours, theirs = wires
        theirs.sendall(self.GREETING + answer)

        with pytest.raises(MachineError):
            Qmp(ours).connect()

    @pytest.mark.parametrize("greeting", [b"{}\n", b'{"QMP": 5}\n'])
    def test_not_qmp(self, wires: tuple[socket.socket, socket.socket], greeting: bytes) -> None:
        ours, theirs = wires
        theirs.sendall(greeting)

        with pytest.raises(MachineError, match="not QMP"):
            Qmp(ours).connect()

    def test_silence(self, wires: tuple[socket.socket, socket.socket]) -> None:
        with pytest.raises(MachineError, match="did not answer"):
            Qmp(wires[0], timeout=0.05).connect()

    def test_hang_up(self, wires: tuple[socket.socket, socket.socket]) -> None:
        wires[1].close()

        with pytest.raises(MachineError, match="hung up"):
            Qmp(wires[0]).connect()


class TestConsole:
    @pytest.fixture
    def console(self) -> Iterator[tuple[Console, socket.socket, list[bytes]]]:
        ours, theirs = socket.socketpair()
        echoed: list[bytes] = []
        console = Console(ours, echoed.append)
        with theirs:
            yield console, theirs, echoed
            console.close()

    def test_expect(self, console: tuple[Console, socket.socket, list[bytes]]) -> None:
        """What has come, what comes later, in pieces; and where it was."""
        guest, theirs, echoed = console
        theirs.sendall(b"one two\n")
        assert guest.expect(b"two", 60)
        position = guest.position
        threading.Timer(0.02, theirs.sendall, (b"thr",)).start()
        threading.Timer(0.04, theirs.sendall, (b"ee 3\n",)).start()

        assert guest.expect(re.compile(rb"three (\d)"), 5, position)[1] == b"3"
        assert guest.text(position) == b"three 3\n"
        assert b"".join(echoed) == b"one two\nthree 3\n"

    def test_a_position_hides_what_was_before(
        self, console: tuple[Console, socket.socket, list[bytes]]
    ) -> None:
        guest, theirs, _ = console
        theirs.sendall(b"ready\n")
        guest.expect(b"ready\n", 60)

        with pytest.raises(GuestError, match=r"did not print it within 0\.05 s.*ready"):
            guest.expect(b"ready", 0.05, guest.position)

    def test_the_end(self, console: tuple[Console, socket.socket, list[bytes]]) -> None:
        guest, theirs, _ = console
        theirs.sendall(b"last words\n")
        theirs.close()

        with pytest.raises(GuestError, match="the guest ended; its last words: last words"):
            guest.expect(b"never", 60)
        assert guest.ended

    def test_alive_may_raise(self, console: tuple[Console, socket.socket, list[bytes]]) -> None:
        def dead() -> None:
            raise MachineError("gone")

        with pytest.raises(MachineError, match="gone"):
            console[0].expect(b"never", 60, alive=dead)

    def test_only_the_last_megabyte_is_kept(
        self, console: tuple[Console, socket.socket, list[bytes]]
    ) -> None:
        guest, theirs, _ = console
        theirs.sendall(b"x" * (3 << 20) + b"end")
        guest.expect(b"end", 60)

        assert guest.position == (3 << 20) + 3
        assert len(guest.text()) == 1 << 20
        assert guest.text(guest.position - 3) == b"end"


class TestProcess:
    def test_exit_code_and_last_words(self) -> None:
        process = BoundProcess([sys.executable, "-c", "import sys; sys.exit('no luck')"], ())

        assert process.wait(60)
        assert (process.exit_code, process.last_words()) == (1, "no luck")
        process.close()
        assert process.last_words() == ""

    def test_end(self) -> None:
        process = BoundProcess(["sleep", "1000"], ())
        assert not process.ended
        process.end()

        assert process.ended
        assert process.exit_code == -signal.SIGKILL
        process.close()
        process.close()

    def test_a_program_that_is_missing(self) -> None:
        process = BoundProcess(["/nonexistent/program"], ())

        assert process.wait(60)
        assert process.exit_code == 127
        assert "/nonexistent/program" in process.last_words()
        process.close()

    def test_without_setpriv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")

        with pytest.raises(SetupError, match="util-linux"):
            BoundProcess(["true"], ())

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_dies_with_its_parent(self, number: signal.Signals) -> None:
        """A parent that gets no chance to clean up."""
        script = (
            "import time; from stepvisor.machine.process import BoundProcess;"
            "print(BoundProcess(['sleep', '1000'], ()).pid, flush=True); time.sleep(1000)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            assert running(child)
            parent.send_signal(number)
            parent.wait()

            assert gone(child)

    def test_outlives_the_thread_that_made_it(self) -> None:
        made: list[BoundProcess] = []
        thread = threading.Thread(target=lambda: made.append(BoundProcess(["sleep", "1000"], ())))
        thread.start()
        thread.join()

        assert not made[0].wait(0.2)
        made[0].close()

    def test_terminal_signals_do_not_reach_it(self) -> None:
        process = BoundProcess(["sleep", "1000"], ())

        assert os.getsid(process.pid) == process.pid != os.getsid(0)
        process.close()


def running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)  # no event tells of a stranger's end
    return not running(pid)


class TestQemu:
    def test_missing(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("STEPVISOR_QEMU", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(SetupError, match="qemu-system-arm"):
            find_qemu()

    @pytest.mark.parametrize(
        ("says", "result"),
        [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2)", (7, 2, 22)),
            ("QEMU emulator version 10.0", (10, 0, 0)),
            ("QEMU emulator version 7.1.9", "needs 7.2 or newer"),
            ("hello", "does not say that it is QEMU"),
        ],
    )
    def test_version(self, tmp_path: Path, says: str, result: object) -> None:
        program = tmp_path / "qemu"
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)

        if isinstance(result, str):
            with pytest.raises(SetupError, match=result):
                qemu_version(program)
        else:
            assert qemu_version(program) == result

    def test_command_line(self) -> None:
        """Nothing that does DMA, nothing with a path, stopped."""
        argv = qemu_argv(
            Path("/q"),
            MachineConfig(vcpus=3, memory=64 * MIB),
            image=Path("/m"),
            ram_fd=5,
            qmp_fd=6,
            console_fd=7,
        )

        assert argv[0] == "/q"
        assert "-S" in argv
        for name, value in {
            "-M": "virt,virtualization=on,gic-version=3,its=off",
            "-smp": "3",
            "-m": "192M",
            "-nic": "none",
            "-kernel": "/m",
        }.items():
            assert argv[argv.index(name) + 1] == value
        assert not any("path=" in word and "/proc/self/fd/5" not in word for word in argv)
