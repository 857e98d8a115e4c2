"""Nothing is left behind, however it ends."""

import gc
import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine, wait_until

import stepvisor
from stepvisor.trace.session import start

pytestmark = pytest.mark.system

TRACE = (
    "trace",
    "-e",
    "vfs_read",
    "--run",
    "while :; do dd if=/dev/zero of=/dev/null bs=1 count=9; done",
)


def leftovers(temporary: Path) -> set[str]:
    """Everything in the temporary directory; of shared memory and sockets what is ours."""
    shared = {str(path) for path in Path("/dev/shm").glob("*stepvisor*")}  # noqa: S108 - looked at
    sockets = {
        line.split()[-1]
        for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]
        if "stepvisor" in line or str(temporary) in line
    }
    return shared | sockets | {str(path) for path in temporary.iterdir()}


def is_qemu(pid: int) -> bool:
    try:
        return b"qemu-system" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def descriptors_open() -> Counter[str]:
    """What they are open on, numbers of sockets and the like left out."""
    gc.collect()
    links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return Counter(str(link).partition("[")[0] for link in links)


def wait_for_hits(process: "subprocess.Popen[str]") -> None:
    """Until the first hit has been printed: the guest is up, the probe armed, the ring in use."""
    assert process.stdout is not None
    assert "EVENT" in process.stdout.readline()
    assert " vfs_read x0=0x" in process.stdout.readline()


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Temporary files of this test go where nobody else's are."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = leftovers(tmp_path)
    yield
    assert leftovers(tmp_path) <= before


def test_success(command_line: CommandLine) -> None:
    done = command_line.run("trace", "-e", "vfs_read", "--run", "true")

    assert (done.returncode, done.stderr) == (0, "")
    assert command_line.wait_gone() == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_signal(command_line: CommandLine, number: signal.Signals, code: int) -> None:
    with command_line.start(*TRACE) as process:
        wait_for_hits(process)
        assert any(is_qemu(pid) for pid in command_line.descendants())

        process.send_signal(number)
        _, errors = process.communicate(timeout=60)

    assert process.returncode == code
    assert errors == ""
    assert command_line.wait_gone() == []


def test_signal_while_booting(command_line: CommandLine) -> None:
    with command_line.start("trace", "-e", "vfs_read", "--run", "true") as process:
        assert wait_until(lambda: any(map(is_qemu, command_line.descendants())), 60)

        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (130, "")
    assert command_line.wait_gone() == []


def test_ctrl_c_prints_the_summary(command_line: CommandLine) -> None:
    with command_line.start(*TRACE) as process:
        wait_for_hits(process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)

    assert output.splitlines()[-1].endswith("s of guest run time")


def test_closed_pipe(command_line: CommandLine) -> None:
    with command_line.start(*TRACE) as process:
        wait_for_hits(process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        process.wait(timeout=60)

    assert (process.returncode, errors) == (141, "")
    assert command_line.wait_gone() == []


def test_exception_in_the_block() -> None:
    pids = []

    def fail() -> None:
        with stepvisor.boot() as guest, guest.trace("vfs_read"):
            pids.append(guest.pid)
            assert is_qemu(guest.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert not is_qemu(pids[0])


def test_no_descriptor_or_thread_leaks() -> None:
    with stepvisor.boot():
        pass
    descriptors, threads = descriptors_open(), threading.active_count()
    with stepvisor.boot() as guest, guest.trace("vfs_read"):
        guest.run("true")

    assert descriptors_open() == descriptors
    assert threading.active_count() == threads


def test_qemu_killed_is_reported() -> None:
    with stepvisor.boot() as guest:
        guest.wait_ready()
        with pytest.raises(stepvisor.MachineError, match="exit code -9"):
            trace_and_kill(guest)


def trace_and_kill(guest: stepvisor.Guest) -> None:
    with guest.trace("vfs_read"):
        os.kill(guest.pid, signal.SIGKILL)
        guest.run("true", timeout=60)


def test_guest_power_off_is_reported() -> None:
    with stepvisor.boot() as guest:
        guest.wait_ready()
        with pytest.raises(stepvisor.StepvisorError, match=r"powered off|ended"):
            guest.run("poweroff -f", timeout=60)


def test_panic_is_reported_with_the_last_words() -> None:
    with stepvisor.boot() as guest:
        guest.wait_ready()
        with pytest.raises(stepvisor.StepvisorError, match="sysrq triggered crash"):
            guest.run("echo c > /proc/sysrq-trigger", timeout=60)


def test_close_while_starting_is_idempotent() -> None:
    guest = start()
    guest.close()
    guest.close()

    assert guest.end_error() is not None


def test_a_guest_that_ends_while_it_is_traced() -> None:
    """Whoever reads the trace is told, with the guest's last words."""
    with stepvisor.boot() as guest:
        guest.wait_ready()
        with pytest.raises(stepvisor.GuestError, match="sysrq triggered crash"):
            read_until_the_end(guest)


def read_until_the_end(guest: stepvisor.Guest) -> None:
    with guest.trace("vfs_read") as trace:
        guest.console.write(b"echo c > /proc/sysrq-trigger\n")
        for _ in range(600):
            trace.read(timeout=0.1)
