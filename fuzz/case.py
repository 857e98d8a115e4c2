"""One run of the guest: what is drawn, on what machine, and what the host does meanwhile."""

import enum
from dataclasses import dataclass

__all__ = ("Case", "Way")

_ALL_KINDS = (1 << 64) - 1


class Way(enum.Enum):
    """What the host does while the guest runs under the monitor."""

    FREE = "free"
    """Nothing."""
    PROBED = "probed"
    """Half of all places are probed from the beginning to the end."""
    STIRRED = "stirred"
    """Some are, and others are probed and left again all the time."""
    TABLES = "tables"
    """As STIRRED, and so are pages of translation tables and stacks: slow."""
    STEPPED = "stepped"
    """As STIRRED, and vCPUs are stepped for a while, again and again."""


@dataclass(frozen=True, slots=True)
class Case:
    """Equal cases do the same, but for what the host stirs."""

    seed: int
    cpu: str
    vcpus: int
    actions: int
    """Of each vCPU."""
    way: Way
    interval: int = 1000
    """Actions between two digests."""
    kinds: int = _ALL_KINDS
    """A bit for each kind of action, in the order of the table in main.c."""

    def variables(self) -> dict[str, int]:
        """The guest's, by name."""
        return {
            "cpus_used": self.vcpus,
            "seed": self.seed,
            "actions": self.actions,
            "interval": self.interval,
            "kinds": self.kinds,
        }

    def command(self) -> str:
        """The line that does this case again."""
        kinds = "" if self.kinds == _ALL_KINDS else f" --kinds {self.kinds:#x}"
        return (
            f"python -m fuzz --case {self.seed} --cpu {self.cpu} --vcpus {self.vcpus}"
            f" --actions {self.actions} --way {self.way.value}{kinds}"
        )
