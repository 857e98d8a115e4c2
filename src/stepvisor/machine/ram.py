"""Guest RAM as the host sees it: an anonymous file that QEMU maps too.

The file has no name on any file system (``memfd_create``), so nothing can be left behind, whatever
kills this process. Bulk reads and writes go through the file descriptor, because pages touched
through a mapping count as this process's memory; only what is polled is mapped.
"""

import mmap
import os
from types import TracebackType
from typing import Self

from stepvisor.errors import MachineError

__all__ = ("GuestRam",)


class GuestRam:
    """RAM of one machine, addressed by physical address.

    Python must not write what the guest executes once it runs: QEMU does not see writes made
    here as code changes.
    """

    def __init__(self, base: int, size: int) -> None:
        """Make `size` bytes of zeroed RAM that the guest will see at physical address `base`."""
        self.base = base
        self.size = size
        self.fd = os.memfd_create("stepvisor-ram", os.MFD_CLOEXEC)
        self._maps: list[mmap.mmap] = []
        try:
            os.ftruncate(self.fd, size)
        except BaseException:
            os.close(self.fd)
            raise

    def contains(self, address: int, size: int = 1) -> bool:
        """Whether `size` bytes at physical `address` are all RAM."""
        return self.base <= address and size >= 0 and address + size <= self.base + self.size

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at physical `address`.

        :raise MachineError: When they are not all RAM.
        """
        offset = self._offset(address, size)
        parts = []
        while size:
            part = os.pread(self.fd, size, offset)
            if not part:
                message = f"guest RAM ends early at 0x{self.base + offset:x}"
                raise MachineError(message)
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Put `data` at physical `address`.

        :raise MachineError: When it does not fit into RAM.
        """
        rest = memoryview(data).cast("B")
        offset = self._offset(address, len(rest))
        while rest:
            written = os.pwrite(self.fd, rest, offset)
            offset += written
            rest = rest[written:]

    def view(self, address: int, size: int) -> memoryview:
        """A shared, writable view of page-aligned RAM; valid until :meth:`close`."""
        offset = self._offset(address, size)
        if offset % mmap.ALLOCATIONGRANULARITY:
            message = f"a view of guest RAM must start on a page, not at 0x{address:x}"
            raise MachineError(message)
        mapping = mmap.mmap(self.fd, size, offset=offset)
        self._maps.append(mapping)
        return memoryview(mapping)

    def close(self) -> None:
        """Give the memory back; views that are still referenced keep their part of it."""
        if self.fd < 0:
            return
        os.close(self.fd)
        self.fd = -1
        for mapping in self._maps:
            try:
                mapping.close()
            except BufferError:
                # A NumPy view still points into it: unmapped when that view is collected.
                continue
        self._maps.clear()

    def _offset(self, address: int, size: int) -> int:
        if self.fd < 0:
            message = "guest RAM is closed"
            raise MachineError(message)
        if not self.contains(address, size):
            message = (
                f"0x{address:x} + {size} bytes is outside guest RAM"
                f" (0x{self.base:x} to 0x{self.base + self.size:x})"
            )
            raise MachineError(message)
        return address - self.base

    def __enter__(self) -> Self:
        """Closed on exit."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()
