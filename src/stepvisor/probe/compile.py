"""From trees to instructions.

Registers are a stack: the value of a tree goes to the register it is asked for, and what is needed
on the way to those above. Of two operands the one that needs more registers is computed first
(R. Sethi, J. D. Ullman, "The generation of optimal code for arithmetic expressions", 1970), which
is right because nothing has a side effect.
"""

from stepvisor.errors import ExpressionError
from stepvisor.monitor.program import PROGRAM_REGISTERS, Opcode
from stepvisor.probe.assembler import Assembler, Label
from stepvisor.probe.comparison import find_comparison
from stepvisor.probe.expression import (
    MASK,
    Binary,
    Both,
    Choice,
    Constant,
    Either,
    Guest,
    Inverse,
    Load,
    Node,
    Text,
)

__all__ = ("Compiler",)


class Compiler:
    """Appends the code of trees to `assembler`."""

    def __init__(self, assembler: Assembler) -> None:
        self._out = assembler

    def value(self, node: Node, d: int = 0) -> None:
        """Leave the value of `node` in register `d`; registers below stay."""
        if d >= PROGRAM_REGISTERS:
            raise ExpressionError("an expression is nested too deeply for the monitor's registers")
        if isinstance(node, Constant):
            self._out.put(Opcode.CONSTANT, d=d, immediate=node.value & MASK)
        elif isinstance(node, Guest):
            self._out.put(Opcode.GUEST, d=d, immediate=node.number)
        elif isinstance(node, Load):
            self._load(node, d)
        elif isinstance(node, Binary):
            self._binary(node, d)
        elif isinstance(node, Choice):
            self._choice(node, d)
        else:
            self._logic(node, d)

    def capture(self, node: Node | Text) -> None:
        """Put a value or string into the record."""
        if isinstance(node, Text):
            self.value(node.address)
            self._out.put(Opcode.EMIT_STRING, target=node.limit)
        elif isinstance(node, Guest):
            self._out.put(Opcode.EMIT_GUEST, immediate=node.number)
        else:
            self.value(node)
            self._out.put(Opcode.EMIT)

    def jump_if_false(self, node: Node, label: Label, d: int = 0) -> None:
        """Go to `label` when `node` is 0, else on."""
        if isinstance(node, Both):
            self.jump_if_false(node.left, label, d)
            self.jump_if_false(node.right, label, d)
        elif isinstance(node, Either):
            yes = Label()
            self._jump_if_true(node.left, yes, d)
            self.jump_if_false(node.right, label, d)
            self._out.place(yes)
        elif isinstance(node, Inverse):
            self._jump_if_true(node.operand, label, d)
        elif (comparison := find_comparison(node)) is not None:
            self._out.jump_if(comparison.opposite(), label)
        else:
            self.value(node, d)
            self._out.jump_if_zero(d, label)

    def _jump_if_true(self, node: Node, label: Label, d: int) -> None:
        if isinstance(node, Either):
            self._jump_if_true(node.left, label, d)
            self._jump_if_true(node.right, label, d)
        elif isinstance(node, Inverse):
            self.jump_if_false(node.operand, label, d)
        elif (comparison := find_comparison(node)) is not None:
            self._out.jump_if(comparison, label)
        else:
            no = Label()
            self.jump_if_false(node, no, d)
            self._out.jump(label)
            self._out.place(no)

    def _load(self, node: Load, d: int) -> None:
        base, offset = _split(node.address)
        self.value(base, d)
        self._out.put(Opcode.LOAD, d=d, a=d, b=node.size, immediate=offset & MASK)

    def _binary(self, node: Binary, d: int) -> None:
        if registers_needed(node.right) > registers_needed(node.left):
            self.value(node.right, d)
            self.value(node.left, d + 1)
            self._out.put(node.opcode, d=d, a=d + 1, b=d)
        else:
            self.value(node.left, d)
            self.value(node.right, d + 1)
            self._out.put(node.opcode, d=d, a=d, b=d + 1)

    def _choice(self, node: Choice, d: int) -> None:
        no, end = Label(), Label()
        self.jump_if_false(node.condition, no, d)
        self.value(node.yes, d)
        self._out.jump(end)
        self._out.place(no)
        self.value(node.no, d)
        self._out.place(end)

    def _logic(self, node: Both | Either | Inverse, d: int) -> None:
        if isinstance(node, Inverse):
            zero = Constant(0)
            self._binary(Binary(Opcode.EQ, node.operand, zero), d)
            return
        false, end = Label(), Label()
        self.jump_if_false(node, false, d)
        self._out.put(Opcode.CONSTANT, d=d, immediate=1)
        self._out.jump(end)
        self._out.place(false)
        self._out.put(Opcode.CONSTANT, d=d, immediate=0)
        self._out.place(end)


def _split(address: Node) -> tuple[Node, int]:
    """An address as base and offset, which a load adds by itself."""
    if isinstance(address, Binary) and address.opcode is Opcode.ADD:
        if isinstance(address.right, Constant):
            return address.left, address.right.value
        if isinstance(address.left, Constant):
            return address.right, address.left.value
    return address, 0


def registers_needed(node: Node) -> int:
    """Registers for the value of `node`, its result included."""
    if isinstance(node, Constant | Guest):
        return 1
    if isinstance(node, Load):
        return registers_needed(node.address)
    if isinstance(node, Inverse):
        return max(registers_needed(node.operand), 2)
    if isinstance(node, Choice):
        return max(registers_needed(part) for part in (node.condition, node.yes, node.no))
    left, right = registers_needed(node.left), registers_needed(node.right)
    if isinstance(node, Both | Either):
        return max(left, right)
    return left + 1 if left == right else max(left, right)
