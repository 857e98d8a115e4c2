"""How deep in calls and exceptions a stepped vCPU is."""

from dataclasses import dataclass, field

from stepvisor.arch import aarch32
from stepvisor.arch.aarch32 import InstructionSet
from stepvisor.arch.disassemble import is_call, is_exception_return, is_register_branch
from stepvisor.monitor.vocabulary import Outcome

__all__ = ("CallDepth",)

_EXCEPTION = -1
_DEEPEST = 4096


@dataclass(slots=True)
class CallDepth:
    """Counts the calls since stepping began.

    A return is recognised by where it leads, so that tail calls and returns through several
    functions at once (longjmp, a task that ends) keep the count right.
    """

    _frames: list[int] = field(default_factory=list)
    """Return address of each call; `_EXCEPTION` for an exception."""
    _last: int = 0

    @property
    def depth(self) -> int:
        """Calls and exceptions that have not returned."""
        return len(self._frames)

    def follow(
        self,
        outcome: Outcome,
        address: int,
        word: int,
        pc: int,
        instruction_set: InstructionSet = InstructionSet.A64,
    ) -> None:
        """The instruction `word` at `address` led to `pc`."""
        previous, self._last = self._last, pc
        if outcome in {Outcome.EXCEPTION, Outcome.INTERRUPT}:
            self._push(_EXCEPTION)
        elif outcome is Outcome.RESUMED:
            if pc != previous:
                self._return(pc)
        elif instruction_set is not InstructionSet.A64:
            self._follow_aarch32(address, word, pc, instruction_set)
        elif is_call(word):
            self._push(address + 4)
        elif is_exception_return(word):
            self._leave_exception()
        elif is_register_branch(word):
            self._return(pc)

    def _follow_aarch32(
        self, address: int, word: int, pc: int, instruction_set: InstructionSet
    ) -> None:
        """Every instruction may have a condition, and most may write the program counter."""
        following = address + aarch32.size(instruction_set, word)
        if pc == following:
            return
        if aarch32.is_call(instruction_set, word):
            self._push(following)
        elif not aarch32.is_direct_branch(instruction_set, word):
            self._return(pc)

    def _push(self, frame: int) -> None:
        if len(self._frames) < _DEEPEST:
            self._frames.append(frame)

    def _return(self, pc: int) -> None:
        for index in range(len(self._frames) - 1, -1, -1):
            if self._frames[index] == _EXCEPTION:
                return
            if self._frames[index] == pc:
                del self._frames[index:]
                return

    def _leave_exception(self) -> None:
        if _EXCEPTION in self._frames:
            del self._frames[_last_index(self._frames, _EXCEPTION) :]


def _last_index(items: list[int], item: int) -> int:
    return len(items) - 1 - items[::-1].index(item)
