"""Functions of modules from the command line."""

import json

import pytest
from command_line import CommandLine
from kernel_package import KernelPackage

pytestmark = pytest.mark.system

SEND = "ping -c 7 -i 0.02 -W 1 10.9.8.7 > /dev/null"
UP = (
    "echo 1 > /proc/sys/net/ipv6/conf/dummy0/disable_ipv6; ip addr add 10.9.8.1/24 dev dummy0;"
    " ip link set dummy0 up"
)
INSMOD = ("--setup", "insmod /dummy.ko", "--setup", UP)


@pytest.fixture(scope="module")
def guest_arguments(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Of a guest that has the module, but has not loaded it."""
    package = KernelPackage("6.12")
    directory = tmp_path_factory.mktemp("guest")
    kernel, initrd = directory / "vmlinuz", directory / "initrd"
    kernel.write_bytes(package.kernel().data)
    initrd.write_bytes(package.initrd("dummy"))
    return "--kernel", str(kernel), "--initrd", str(initrd), "--memory", "512M"


def test_a_trace(command_line: CommandLine, guest_arguments: tuple[str, ...]) -> None:
    arguments = ("trace", *guest_arguments, *INSMOD, "-e", "dummy_xmit", "--json", "--run", SEND)

    done = command_line.run(*arguments)

    assert done.returncode == 0, done.stderr
    *hits, last = (json.loads(line) for line in done.stdout.splitlines())
    assert {hit["symbol"] for hit in hits} == {"dummy:dummy_xmit"}
    assert last["summary"]["hits"] == {"dummy:dummy_xmit": 7}


def test_a_step(command_line: CommandLine, guest_arguments: tuple[str, ...]) -> None:
    done = command_line.run(
        *("step", "dummy:dummy_xmit", "--until", "3", *guest_arguments, *INSMOD),
        *("--run", "ping -c 1 -W 1 10.9.8.7 > /dev/null"),
    )

    assert done.returncode == 0, done.stderr
    assert "dummy:dummy_xmit+0x0 " in done.stdout
    assert "dummy:dummy_xmit+0x8 " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--setup", "insmod /none.ko"), 1, "--setup `insmod /none.ko` failed in the guest"),
        ((), 2, "no module 'dummy' is loaded in the guest, nor any other: load it before"),
    ],
)
def test_a_module_that_is_not_there(
    command_line: CommandLine,
    guest_arguments: tuple[str, ...],
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    done = command_line.run("trace", *guest_arguments, *arguments, "-e", "dummy:dummy_xmit")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert words in done.stderr


def test_a_name_that_no_module_has(
    command_line: CommandLine, guest_arguments: tuple[str, ...]
) -> None:
    """It is said after the boot, as a module could have it."""
    done = command_line.run("trace", *guest_arguments, *INSMOD, "-e", "dummy_xmti")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the kernel has no symbol 'dummy_xmti'" in done.stderr
