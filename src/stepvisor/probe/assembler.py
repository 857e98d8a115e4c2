"""A program under construction: instructions, and jumps to places that come later."""

from stepvisor.monitor.program import Instruction, Opcode
from stepvisor.probe.comparison import Comparison

__all__ = ("Assembler", "Label")


class Label:
    """A place in the program, known once :meth:`Assembler.place` has been called."""

    def __init__(self) -> None:
        self.jumps: list[int] = []
        """Instructions that lead here."""


class Assembler:
    """Appends instructions."""

    def __init__(self) -> None:
        self.code: list[Instruction] = []

    def put(
        self,
        opcode: Opcode,
        *,
        d: int = 0,
        a: int = 0,
        b: int = 0,
        target: int = 0,
        immediate: int = 0,
    ) -> None:
        """Append one instruction."""
        self.code.append(Instruction(opcode, d, a, b, target, immediate))

    def jump(self, label: Label) -> None:
        """Go to `label`."""
        label.jumps.append(len(self.code))
        self.put(Opcode.JUMP)

    def jump_if_zero(self, register: int, label: Label) -> None:
        """Go to `label` when `register` is 0."""
        label.jumps.append(len(self.code))
        self.put(Opcode.JUMP_IF_ZERO, a=register)

    def jump_if(self, comparison: Comparison, label: Label) -> None:
        """Go to `label` when `comparison` holds."""
        label.jumps.append(len(self.code))
        self.put(
            Opcode.JUMP_COMPARE,
            d=comparison.register,
            a=comparison.relations,
            b=comparison.how,
            immediate=comparison.value,
        )

    def place(self, label: Label) -> None:
        """`label` is the next instruction."""
        for number in label.jumps:
            target = len(self.code) - number - 1
            self.code[number] = self.code[number]._replace(target=target)
        label.jumps.clear()
