"""What went wrong, in words that suffice to see it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from stepvisor.arch.aarch32 import InstructionSet, size
from stepvisor.arch.disassemble import disassemble

__all__ = ("Failure",)


@dataclass(frozen=True, slots=True)
class Failure:
    """One case, or one count, that is not as it must be."""

    cpu: str
    class_name: str
    what: str
    """The difference."""
    seed: int | None = None
    """Of that case alone; None when it concerns no single case."""
    since: int | None = None
    """Seed from which on cases must be run to see it again; None: that one alone."""
    count: int = 1
    """How many they are, for a class with a share of one."""
    words: Sequence[int] = ()
    instruction_set: InstructionSet = InstructionSet.A64
    address: int = 0
    """Where the instructions were."""
    fatal: bool = False
    """The guest is of no use any more."""

    @property
    def replay(self) -> str:
        """A command line that runs it again."""
        command = f"stepvisor conformance --cpu {self.cpu} --class {self.class_name}"
        first = self.seed if self.since is None else self.since
        seed = "" if first is None else f" --seed {first}"
        return f"{command}{seed} --count {self.count}"

    def lines(self) -> list[str]:
        """For a reader: class, difference, instructions with encoding, and how to repeat it."""
        sizes = [size(self.instruction_set, word) for word in self.words]
        places = list(accumulate(sizes, initial=self.address))[:-1]
        code = [
            f"    {address:#x}: {word:08x}  {disassemble(word, address, self.instruction_set)}"
            for address, word in zip(places, self.words, strict=True)
        ]
        seed = "" if self.seed is None else f", seed {self.seed}"
        return [
            f"{self.class_name} on {self.cpu}{seed}: {self.what}",
            *code,
            f"    again: {self.replay}",
        ]
