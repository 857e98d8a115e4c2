"""From targets to requests that a backend can arm, by looking at the running kernel's code."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepvisor.errors import ProbeError
from stepvisor.monitor.interface import ProbeRequest
from stepvisor.probe.decode import WORD_SIZE
from stepvisor.probe.plan import Choice, Method, plan_for
from stepvisor.probe.resolve import Target

__all__ = ("Code", "Stretch", "place")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Code that is contiguous in virtual addresses. Read live, as it is now."""

    text: range
    """Offsets from the first byte of the kernel's Image, wherever it lies."""
    read: Callable[[int, int], bytes]
    """`read(offset, size)`"""
    physical: Callable[[int], int]
    """Guest physical address of an offset."""

    def words(self) -> NDArray[np.uint32]:
        """All of it."""
        return np.frombuffer(self.read(self.text.start, len(self.text)), "<u4")


class Code:
    """The running kernel's text. Read live: at boot a kernel patches itself to fit the CPU."""

    def __init__(
        self,
        read_physical: Callable[[int, int], bytes],
        *,
        virtual_base: int,
        physical_base: int,
        text: range,
        beyond: Callable[[int], Stretch | None] = lambda _: None,
    ) -> None:
        """`virtual_base` and `physical_base` are where the Image's first byte is.

        `text` are the offsets of its code from there. A kernel's Image is contiguous in both.

        :param beyond: Gives the code around an offset that is none of these.
        """
        self._virtual_base = virtual_base
        self._image = Stretch(
            text,
            lambda offset, size: read_physical(physical_base + offset, size),
            lambda offset: physical_base + offset,
        )
        self._beyond = beyond

    def request(self, target: Target, slot: int, wanted: Method | None = None) -> ProbeRequest:
        """What to arm for `target`, run by the `wanted` method if there is one.

        :raise ProbeError: When its instruction cannot be displaced, or not in that way.
        """
        word = self.word(target)
        return self.planned(target, slot, word, _choose(target, word, wanted))

    def planned(self, target: Target, slot: int, word: int, choice: Choice) -> ProbeRequest:
        """What to arm for `target`, whose instruction is `word`."""
        return ProbeRequest(
            slot=slot,
            va=self.address(target),
            ipa=self._stretch(target).physical(target.offset),
            word=word,
            plan=choice.plan,
            label=target.label,
            emulation=choice.emulation,
        )

    def address(self, target: Target) -> int:
        """Virtual address of `target`."""
        return self._virtual_base + target.offset

    @property
    def text(self) -> range:
        """Offsets of the Image's code from its first byte."""
        return self._image.text

    def words(self) -> NDArray[np.uint32]:
        """All of the Image's code, as it is now."""
        return self._image.words()

    def word(self, target: Target) -> int:
        """The instruction at `target`, as it is now."""
        return int.from_bytes(self._stretch(target).read(target.offset, WORD_SIZE), "little")

    def stretches(self, targets: Sequence[Target]) -> Iterator[tuple[Stretch, list[Target]]]:
        """Each stretch of code with those of `targets` that lie in it."""
        rest = list(targets)
        while rest:
            stretch = self._stretch(rest[0])
            yield stretch, [target for target in rest if target.offset in stretch.text]
            rest = [target for target in rest if target.offset not in stretch.text]

    def _stretch(self, target: Target) -> Stretch:
        if target.offset in self._image.text:
            return self._image
        found = self._beyond(target.offset)
        if found is None:
            message = f"no probe on {target.label} ({self.address(target):#x}): no code is there"
            raise ProbeError(message)
        return found


def place(
    code: Code, targets: Iterable[Target], first_slot: int, wanted: Method | None = None
) -> tuple[ProbeRequest, ...]:
    """Requests for `targets` with slots from `first_slot`; what is named twice is armed once.

    :raise ProbeError: When one of them cannot be probed.
    """
    unique = {target.offset: target for target in reversed(list(targets))}
    ordered = list(reversed(unique.values()))
    return tuple(code.request(target, first_slot + i, wanted) for i, target in enumerate(ordered))


def _choose(target: Target, word: int, wanted: Method | None) -> Choice:
    try:
        return plan_for(word, wanted)
    except ProbeError as error:
        raise ProbeError(f"no probe on {target.label}: {error}") from error
