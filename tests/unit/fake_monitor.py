"""A monitor made of a Python thread: the other end of the same shared memory."""

import struct
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire

RAM_BASE = 0x4000_0000
HIT = struct.Struct("<HHBBHQQQ6Q")


class FakeMonitor:
    """Answers commands, produces hits; `region` is the start of RAM."""

    def __init__(self, region: NDArray[np.uint8], vcpus: int = 2) -> None:
        self.region = region
        self.control = self._part(wire.CONTROL_OFFSET, wire.CONTROL, 1)
        self.index = self._part(wire.INDEX_OFFSET, wire.RING_INDEX, vcpus)
        self.sequence = [0] * vcpus
        self.seen: list[tuple[int, bytes]] = []
        self.status = wire.Status.OK
        self.failed_index = 0
        self.on_command: Callable[[int], None] = lambda _: None
        self.mute = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self, state: wire.State = wire.State.RUNNING) -> None:
        """What the real one says when its self-test is over."""
        control = self.control
        control["magic"][0] = wire.CONTROL_MAGIC
        control["abi"][0] = wire.ABI_HASH
        control["frequency"][0] = 1000
        control["start_ticks"][0] = 500
        control["user_ticks"][0] = 1500
        control["state"][0] = state
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def hit(self, vcpu: int, slot: int, ticks: int, x0: int = 0) -> None:
        """Put one hit into a ring. Tests never fill one to its end."""
        position = int(self.index["head"][vcpu])
        start = wire.RINGS_OFFSET + vcpu * wire.RING_SIZE + position
        record = HIT.pack(1, 80, vcpu, 0, slot, self.sequence[vcpu], ticks, 0xFF, x0, *[0] * 5)
        self.region[start : start + 80] = np.frombuffer(record, np.uint8)
        self.sequence[vcpu] += 1
        self.index["head"][vcpu] = position + 80

    def _part(self, offset: int, dtype: np.dtype[np.void], count: int) -> NDArray[np.void]:
        return self.region[offset : offset + count * dtype.itemsize].view(dtype)

    def _serve(self) -> None:
        control = self.control
        while not self._stop.wait(0.0005):
            request = int(control["request"][0])
            if self.mute or request == int(control["answer"][0]):
                continue
            count = int(control["count"][0])
            bulk = self.region[wire.COMMANDS_OFFSET :][: count * wire.PROBE_DESCRIPTOR.itemsize]
            opcode = int(control["opcode"][0])
            self.seen.append((opcode, bulk.tobytes()))
            control["status"][0] = self.status
            control["failed_index"][0] = self.failed_index
            control["results"][0] = np.arange(54)
            self.on_command(opcode)
            control["answer"][0] = request
