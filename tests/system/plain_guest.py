"""A guest under plain QEMU, without the monitor: the independent oracle of other tests."""

import os
import re
import select
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.initramfs import READY_LINE

RAM_BASE = 0x4000_0000
# QEMU's hw/arm/boot.c: an Image with text_offset 0 goes above the 2 MiB of its boot loader.
KERNEL_LOAD_ADDRESS = RAM_BASE + (2 << 20)
_RAM_SIZE = 512 << 20
_TIMEOUT = 120


class PlainGuest:
    """QEMU's virt board with our initramfs, driven over the serial line."""

    def __init__(
        self,
        files: GuestFiles,
        directory: Path,
        *,
        append: str = "",
        cpu: str = "max,pauth-impdef=on",
        initrd: Path | None = None,
    ) -> None:
        self.ram = directory / "ram"
        self._gdb_path = directory / "gdb"
        self._output = bytearray()
        self._commands = 0
        ram = f"memory-backend-file,id=ram,size={_RAM_SIZE},share=on,mem-path={self.ram}"
        self.process = subprocess.Popen(
            [
                *("qemu-system-aarch64", "-M", "virt,memory-backend=ram", "-cpu", cpu),
                *("-m", f"{_RAM_SIZE >> 20}", "-object", ram, "-nic", "none", "-no-reboot"),
                *("-display", "none", "-monitor", "none", "-serial", "stdio"),
                *("-gdb", f"unix:{self._gdb_path},server=on,wait=off"),
                *("-kernel", str(files.kernel), "-initrd", str(initrd or files.initrd)),
                *("-append", f"console=ttyAMA0 quiet panic=-1 {append}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def expect(self, what: str) -> str:
        """Wait for `what` on the console; returns everything up to it."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + _TIMEOUT
        while (end := self._output.find(what.encode())) < 0:
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.process.stdout], [], [], left)[0]
            data = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            assert data, f"{what!r} did not come: ... {self._output[-2000:].decode()}"
            self._output += data
        text = self._output[:end].decode()
        del self._output[: end + len(what)]
        return text

    def wait_ready(self) -> str:
        """Wait for a shell; returns what the console said before."""
        return self.expect(f"{READY_LINE}\n")

    def run(self, command: str) -> tuple[str, int]:
        """Output and exit code of a shell command."""
        self._commands += 1
        self.type(f"{{ {command}\n}} 2>&1; printf '\\n%s%s %d\\n' MA RK{self._commands} $?\n")
        output = self.expect(f"\nMARK{self._commands} ")
        return output, int(self.expect("\n"))

    def registers(self, *names: str) -> dict[str, int]:
        """System registers of the first vCPU, at an instant."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_TIMEOUT)
            sock.connect(str(self._gdb_path))
            return _Gdb(sock).registers(names)


class _Gdb:
    """Just enough of the GDB remote protocol; QEMU stops while we are connected."""

    def __init__(self, sock: socket.socket) -> None:
        self._stream = sock.makefile("rwb")

    def registers(self, names: tuple[str, ...]) -> dict[str, int]:
        self._ask("qSupported:xmlRegisters=aarch64")
        description = self._document("system-registers.xml")
        numbers = dict(re.findall(r'<reg name="(\w+)"[^>]*regnum="(\d+)"', description))
        # QEMU shows VBAR_EL1 under the name of its AArch32 twin.
        found = {name: numbers.get(name) or numbers[name.removesuffix("_EL1")] for name in names}
        answers = {name: self._ask(f"p{int(number):x}") for name, number in found.items()}
        return {
            name: int.from_bytes(bytes.fromhex(answer), "little")
            for name, answer in answers.items()
        }

    def _document(self, name: str) -> str:
        self._whole("target.xml")
        return self._whole(name)

    def _whole(self, name: str) -> str:
        text = ""
        while True:
            part = self._ask(f"qXfer:features:read:{name}:{len(text):x},800")
            text += part[1:]
            if part[:1] != "m":
                return text

    def _ask(self, request: str) -> str:
        checksum = sum(request.encode()) % 256
        self._stream.write(f"${request}#{checksum:02x}".encode())
        self._stream.flush()
        while (answer := self._packet()).startswith("T"):
            pass  # the guest was stopped because we came
        return answer

    def _packet(self) -> str:
        while self._stream.read(1) != b"$":
            pass
        answer = bytearray()
        while (byte := self._stream.read(1)) not in (b"#", b""):
            answer += byte
        self._stream.read(2)
        self._stream.write(b"+")
        self._stream.flush()
        return answer.decode("latin-1")
