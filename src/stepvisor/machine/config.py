"""What machine to make: CPU model, number of vCPUs, memory.

Values come from the user, so every check here ends in a :class:`GuestConfigError` of one line.
"""

import re
from dataclasses import dataclass

from stepvisor._gen import wire
from stepvisor.errors import GuestConfigError

__all__ = ("DEFAULT_CPU", "DEFAULT_MEMORY", "MIB", "MachineConfig", "parse_size")

MIB = 1 << 20

DEFAULT_CPU = "max,pauth-impdef=on,sve-max-vq=4"
"""Three times faster than plain ``max``, whose pointer authentication is slow under TCG."""

DEFAULT_MEMORY = 1 << 30

_UNITS = {"": MIB, "k": 1 << 10, "m": MIB, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d{1,12})\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_CPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._,=+-]*")
_LARGEST = 1 << 38


def parse_size(text: str) -> int:
    """Bytes of a size such as ``512M``, ``1G`` or ``768`` (MiB, as QEMU's ``-m`` counts).

    :raise GuestConfigError: When it is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        message = f"memory size {text!r} is not a number with a unit; write for example 512M or 1G"
        raise GuestConfigError(message)
    return int(match[1]) * _UNITS[match[2].lower()]


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """One machine.

    :raise GuestConfigError: When a value cannot work on any host.
    """

    cpu: str = DEFAULT_CPU
    """QEMU CPU model with its properties."""
    vcpus: int = 2
    """1 to ``wire.MAX_VCPUS``."""
    memory: int = DEFAULT_MEMORY
    """Bytes that the guest sees, a multiple of 2 MiB; the monitor's region comes on top."""
    tagged_memory: bool = False
    """Whether memory has allocation tags, for a CPU with FEAT_MTE."""

    def __post_init__(self) -> None:
        """Refuse what QEMU would refuse later, or understand as several options."""
        if not 1 <= self.vcpus <= wire.MAX_VCPUS:
            message = f"{self.vcpus} vCPUs: the monitor runs 1 to {wire.MAX_VCPUS}"
            raise GuestConfigError(message)
        if not _CPU.fullmatch(self.cpu):
            message = (
                f"{self.cpu!r} is not a QEMU CPU model; `qemu-system-aarch64 -cpu help` lists them"
            )
            raise GuestConfigError(message)
        if self.memory <= 0 or self.memory > _LARGEST or self.memory % (2 * MIB):
            message = (
                f"{self.memory} bytes of guest memory: needs a multiple of 2 MiB"
                f" up to {_LARGEST >> 30} GiB"
            )
            raise GuestConfigError(message)

    @property
    def ram_size(self) -> int:
        """All RAM of the machine in bytes, the monitor's region included."""
        return self.memory + wire.REGION_SIZE
