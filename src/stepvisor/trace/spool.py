"""A queue of hits between the thread that drains the rings and whoever reads the trace.

It holds a bounded amount in memory and the rest in a file without a name, so that a reader who
comes late costs neither memory nor hits. When the file is full too, the writer has to wait, the
rings fill, and the guest waits with them (or drops, as the policy says).
"""

import os
import tempfile
import threading
import weakref
from collections import deque
from typing import IO

import numpy as np
from numpy.typing import NDArray

__all__ = ("Spool",)

_MEMORY_LIMIT = 16 << 20
_FILE_LIMIT = 4 << 30
_PIECE = 1 << 20


class Spool:
    """First in, first out; one writer, one reader."""

    def __init__(
        self,
        dtype: np.dtype[np.void],
        memory_limit: int = _MEMORY_LIMIT,
        file_limit: int = _FILE_LIMIT,
    ) -> None:
        """A queue of arrays of `dtype`; limits in bytes."""
        self._dtype = dtype
        self._memory_limit = memory_limit
        self._file_limit = file_limit
        self._lock = threading.Lock()
        self._waiting: deque[NDArray[np.void]] = deque()
        self._in_memory = 0
        self._file: IO[bytes] | None = None
        self._written = 0
        self._read = 0

    @property
    def full(self) -> bool:
        """Whether the writer should wait."""
        return self._written - self._read >= self._file_limit

    def put(self, hits: NDArray[np.void]) -> None:
        """Append `hits`. A file in use is used until it is empty, to keep the order."""
        with self._lock:
            if self._written == self._read and self._in_memory < self._memory_limit:
                self._waiting.append(hits)
                self._in_memory += hits.nbytes
                return
            self._spill(hits)

    def get(self) -> NDArray[np.void] | None:
        """The next hits, None when there are none."""
        with self._lock:
            if self._waiting:
                hits = self._waiting.popleft()
                self._in_memory -= hits.nbytes
                return hits
            return self._unspill()

    def _spill(self, hits: NDArray[np.void]) -> None:
        if self._file is None:
            # Closed when nobody can read it any more: a trace outlives its guest.
            self._file = tempfile.TemporaryFile(prefix="stepvisor-", buffering=0)  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        data = memoryview(hits.tobytes())
        while data:
            count = os.pwrite(self._file.fileno(), data, self._written)
            self._written += count
            data = data[count:]

    def _unspill(self) -> NDArray[np.void] | None:
        if self._file is None or self._written == self._read:
            return None
        size = self._dtype.itemsize
        wanted = min(self._written - self._read, _PIECE // size * size)
        data = os.pread(self._file.fileno(), wanted, self._read)
        data = data[: len(data) // size * size]
        self._read += len(data)
        if self._read == self._written:
            self._file.truncate(0)
            self._read = self._written = 0
        return np.frombuffer(data, self._dtype)
