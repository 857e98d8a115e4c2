"""The program machine and the meaning of expressions, written once more for the tests."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stepvisor.monitor.program import Comparing, Instruction, Opcode, Relation

MASK = (1 << 64) - 1

Memory = Callable[[int, int], int]
"""Number at an address, of so many bytes; KeyError where there is none."""


def signed(value: int, bits: int = 64) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


@dataclass
class Outcome:
    """What a run of a program leaves."""

    accepted: bool = False
    values: list[int] = field(default_factory=list)
    strings: list[tuple[int, int]] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    histogram: list[tuple[int, int]] = field(default_factory=list)
    hits: int = 0
    executed: int = 0


def simulate(code: Sequence[Instruction], guest: Mapping[int, int], memory: Memory) -> Outcome:
    """Run a program by the wire declaration's words."""
    r = [0] * 16
    out = Outcome()
    at = 0
    while True:
        i = code[at]
        at += 1
        out.executed += 1
        a, b = (0, 0) if i.opcode == Opcode.JUMP_COMPARE else (r[i.a], r[i.b])
        match i.opcode:
            case Opcode.ACCEPT | Opcode.REJECT:
                out.accepted = i.opcode == Opcode.ACCEPT
                return out
            case Opcode.JUMP:
                at += i.target
            case Opcode.JUMP_IF_ZERO:
                at += 0 if a else i.target
            case Opcode.JUMP_COMPARE:
                at += i.target if compare(i, guest[i.d]) else 0
            case Opcode.CONSTANT:
                r[i.d] = i.immediate
            case Opcode.GUEST:
                r[i.d] = guest[i.immediate]
            case Opcode.LOAD:
                r[i.d] = read(memory, (a + i.immediate) & MASK, i.b)
            case Opcode.EMIT_GUEST:
                out.values.append(guest[i.immediate])
            case _ if i.opcode in _NOTED:
                note(out, i, a)
            case _:
                r[i.d] = compute(i.opcode, a, b) & MASK


_NOTED = {
    Opcode.EMIT,
    Opcode.EMIT_STRING,
    Opcode.COUNT,
    Opcode.COUNT_PROBE,
    Opcode.HISTOGRAM,
}


def note(out: Outcome, i: Instruction, a: int) -> None:
    match i.opcode:
        case Opcode.EMIT:
            out.values.append(a)
        case Opcode.EMIT_STRING:
            out.strings.append((a, i.target))
        case Opcode.COUNT:
            out.counted.append(i.immediate)
        case Opcode.COUNT_PROBE:
            out.hits += 1
        case _:
            out.histogram.append((i.immediate, a))


def compare(i: Instruction, register: int) -> bool:
    if i.b & Comparing.WORD:
        register = register << 32 & MASK
    facts = {
        Relation.EQUAL: register == i.immediate,
        Relation.BELOW: register < i.immediate,
        Relation.LESS: signed(register) < signed(i.immediate),
    }
    return any(fact for relation, fact in facts.items() if i.a & relation) != bool(
        i.b & Comparing.INVERTED
    )


def read(memory: Memory, address: int, size: int) -> int:
    try:
        return memory(address, size)
    except KeyError:
        return 0


def compute(opcode: Opcode, a: int, b: int) -> int:
    shift = min(b, 64)
    return {
        Opcode.ADD: lambda: a + b,
        Opcode.SUB: lambda: a - b,
        Opcode.MUL: lambda: a * b,
        Opcode.AND: lambda: a & b,
        Opcode.OR: lambda: a | b,
        Opcode.XOR: lambda: a ^ b,
        Opcode.SHL: lambda: a << shift,
        Opcode.SHR: lambda: a >> shift,
        Opcode.SAR: lambda: signed(a) >> shift,
        Opcode.EQ: lambda: a == b,
        Opcode.NE: lambda: a != b,
        Opcode.LTU: lambda: a < b,
        Opcode.LEU: lambda: a <= b,
        Opcode.LTS: lambda: signed(a) < signed(b),
        Opcode.LES: lambda: signed(a) <= signed(b),
    }[opcode]()


_OPERATORS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}


class _Word(int):
    """A 64-bit value as Python's own operators see it; `is_signed` as the language has it."""

    is_signed = False
    free = False
    """A plain number in the text, which takes the other side's sign."""


def _make(value: int, *, is_signed: bool, free: bool = False) -> _Word:
    if not free:
        value = signed(value) if is_signed else value & MASK
    made = _Word(value)
    made.is_signed, made.free = is_signed and not free, free
    return made


class Oracle:
    """The value of an expression, found by walking Python's own tree of it.

    Signed values are kept as negative integers and unsigned ones as positive: unlike in the
    machine, an operation needs no variants.
    """

    def __init__(self, registers: Mapping[str, int], memory: Memory) -> None:
        self._registers = registers
        self._memory = memory

    def __call__(self, text: str) -> int:
        return int(self._eval(ast.parse(text, mode="eval").body)) & MASK

    def _eval(self, tree: ast.expr) -> _Word:
        name = type(tree).__name__
        return getattr(self, f"_{name}")(tree)

    def _Constant(self, tree: ast.Constant) -> _Word:  # noqa: N802 - after ast
        return _make(tree.value, is_signed=False, free=True)

    def _Name(self, tree: ast.Name) -> _Word:  # noqa: N802
        if tree.id.startswith("w"):
            return _make(self._registers["x" + tree.id[1:]] % (1 << 32), is_signed=False)
        return _make(self._registers[tree.id], is_signed=False)

    def _BinOp(self, tree: ast.BinOp) -> _Word:  # noqa: N802
        a, b = self._eval(tree.left), self._eval(tree.right)
        shifts = isinstance(tree.op, ast.LShift | ast.RShift)
        is_signed = a.is_signed or (b.is_signed and not shifts)
        free = a.free and b.free
        if shifts:
            b = _Word(min(int(b) & MASK, 64))
        if isinstance(tree.op, ast.RShift) and not free:
            a = _make(int(a), is_signed=is_signed)
        value = _OPERATORS[type(tree.op)](int(a), int(b))
        return _make(value, is_signed=is_signed, free=free)

    def _UnaryOp(self, tree: ast.UnaryOp) -> _Word:  # noqa: N802
        a = self._eval(tree.operand)
        if isinstance(tree.op, ast.Not):
            return _make(int(not int(a)), is_signed=False)
        value = {ast.USub: -int(a), ast.Invert: ~int(a), ast.UAdd: int(a)}[type(tree.op)]
        return _make(value, is_signed=a.is_signed, free=a.free)

    def _Compare(self, tree: ast.Compare) -> _Word:  # noqa: N802
        values = [self._eval(part) for part in [tree.left, *tree.comparators]]
        held = True
        for a, op, b in zip(values, tree.ops, values[1:], strict=False):
            is_signed = a.is_signed or b.is_signed
            x = int(a) if a.free else int(_make(int(a), is_signed=is_signed))
            y = int(b) if b.free else int(_make(int(b), is_signed=is_signed))
            held = (
                held
                and {
                    ast.Eq: x == y,
                    ast.NotEq: x != y,
                    ast.Lt: x < y,
                    ast.LtE: x <= y,
                    ast.Gt: x > y,
                    ast.GtE: x >= y,
                }[type(op)]
            )
        return _make(int(held), is_signed=False)

    def _BoolOp(self, tree: ast.BoolOp) -> _Word:  # noqa: N802
        values = [bool(int(self._eval(part))) for part in tree.values]
        held = all(values) if isinstance(tree.op, ast.And) else any(values)
        return _make(int(held), is_signed=False)

    def _IfExp(self, tree: ast.IfExp) -> _Word:  # noqa: N802
        yes, no = self._eval(tree.body), self._eval(tree.orelse)
        chosen = yes if int(self._eval(tree.test)) else no
        return _make(int(chosen), is_signed=yes.is_signed or no.is_signed)

    def _List(self, tree: ast.List) -> _Word:  # noqa: N802
        return self._load(tree.elts[0], 64, is_signed=False)

    def _Subscript(self, tree: ast.Subscript) -> _Word:  # noqa: N802
        kind = ast.unparse(tree.value)
        return self._load(tree.slice, int(kind[1:]), is_signed=kind[0] == "s")

    def _Call(self, tree: ast.Call) -> _Word:  # noqa: N802
        kind = ast.unparse(tree.func)
        bits = int(kind[1:])
        value = int(self._eval(tree.args[0])) & ((1 << bits) - 1)
        return _make(signed(value, bits) if kind[0] == "s" else value, is_signed=kind[0] == "s")

    def _load(self, address: ast.expr, bits: int, *, is_signed: bool) -> _Word:
        value = read(self._memory, int(self._eval(address)) & MASK, bits // 8)
        return _make(signed(value, bits) if is_signed else value, is_signed=is_signed)
