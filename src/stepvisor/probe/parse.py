"""From the text of a predicate or a capture to its tree.

The syntax is Python's, read by :mod:`ast`; what of it has a meaning is listed in the handlers of
:class:`_Parser`, and everything else is refused with its column.
"""

import ast
import difflib
import operator
import warnings
from collections.abc import Callable
from typing import TypeVar

from stepvisor.errors import ExpressionError
from stepvisor.monitor.program import LONGEST_STRING, Opcode
from stepvisor.probe.expression import (
    MASK,
    Binary,
    Both,
    Choice,
    Constant,
    Either,
    Inverse,
    Node,
    Text,
)
from stepvisor.probe.vocabulary import TYPES, WORDS, cast, load, word

__all__ = ("DEFAULT_STRING", "SymbolFinder", "parse", "parse_capture", "split_list")

SymbolFinder = Callable[[str], int | None]
"""The running kernel's address of a symbol, None when there is no such symbol."""

DEFAULT_STRING = 64
"""Bytes that ``str(ADDRESS)`` takes at most."""

_T = TypeVar("_T")
_LONGEST = 1000
_SIGNED_LIMIT = 1 << 63

_ARITHMETIC: dict[type[ast.operator], tuple[Opcode, Callable[[int, int], int]]] = {
    ast.Add: (Opcode.ADD, operator.add),
    ast.Sub: (Opcode.SUB, operator.sub),
    ast.Mult: (Opcode.MUL, operator.mul),
    ast.BitAnd: (Opcode.AND, operator.and_),
    ast.BitOr: (Opcode.OR, operator.or_),
    ast.BitXor: (Opcode.XOR, operator.xor),
    ast.LShift: (Opcode.SHL, operator.lshift),
    ast.RShift: (Opcode.SHR, operator.rshift),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[Opcode, Opcode, bool, Callable[[int, int], bool]]] = {
    ast.Eq: (Opcode.EQ, Opcode.EQ, False, operator.eq),
    ast.NotEq: (Opcode.NE, Opcode.NE, False, operator.ne),
    ast.Lt: (Opcode.LTU, Opcode.LTS, False, operator.lt),
    ast.LtE: (Opcode.LEU, Opcode.LES, False, operator.le),
    ast.Gt: (Opcode.LTU, Opcode.LTS, True, operator.gt),
    ast.GtE: (Opcode.LEU, Opcode.LES, True, operator.ge),
}
"""Opcode for unsigned and for signed values, whether the sides change places, and for constants."""


def parse(text: str, symbol: SymbolFinder | None = None) -> Node:
    """The tree of a value or predicate.

    :raise ExpressionError: When it has no meaning.
    """
    return _Parser(text, symbol).value()


def parse_capture(text: str, symbol: SymbolFinder | None = None) -> Node | Text:
    """The tree of what a record shall hold: a value, or ``str(ADDRESS)``.

    :raise ExpressionError: When it has no meaning.
    """
    return _Parser(text, symbol).capture()


def split_list(text: str) -> tuple[str, ...]:
    """The expressions of a list with commas between them."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return tuple(part.strip() for part in parts)


class _Parser:
    """One text."""

    def __init__(self, text: str, symbol: SymbolFinder | None) -> None:
        self._symbol = symbol if symbol is not None else lambda _: None
        self._text = text
        self._handlers: dict[type[ast.expr], Callable[..., Node]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._binary,
            ast.Compare: self._compare,
            ast.BoolOp: self._logic,
            ast.IfExp: self._choice,
            ast.Subscript: self._typed_memory,
            ast.List: self._memory,
            ast.Call: self._call,
        }

    def value(self) -> Node:
        """The whole text as a value."""
        tree = self._tree()
        return self._guarded(lambda: self._node(tree))

    def capture(self) -> Node | Text:
        """The whole text as a value or a string."""
        tree = self._tree()
        if isinstance(tree, ast.Call) and _called(tree) == "str":
            return self._guarded(lambda: self._string(tree))
        return self._guarded(lambda: self._node(tree))

    def _tree(self) -> ast.expr:
        text = self._text
        if len(text) > _LONGEST:
            raise self._error(None, f"it has {len(text)} characters; at most {_LONGEST} are read")
        if not text.isascii() or not text.isprintable():
            column = next(i for i, c in enumerate(text) if not (c.isascii() and c.isprintable()))
            raise ExpressionError(_message(text, column, "not a plain character"), column + 1)
        if not text.strip():
            raise ExpressionError("an expression is empty; write one such as 'x2 > 4096'", 1)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(text.lstrip(), mode="eval").body
        except SyntaxError as error:
            # Without an offset it is the end that was not expected.
            column = len(text) - len(text.lstrip()) + (error.offset or len(text.strip()) + 1) - 1
            raise ExpressionError(_message(text, column, _syntax(error)), column + 1) from error
        except (RecursionError, MemoryError) as error:
            raise self._error(None, "it is nested too deeply") from error

    def _guarded(self, make: Callable[[], _T]) -> _T:
        try:
            return make()
        except RecursionError as error:
            raise self._error(None, "it is nested too deeply") from error

    def _node(self, tree: ast.expr) -> Node:
        handler = self._handlers.get(type(tree))
        if handler is None:
            raise self._error(tree, f"{ast.unparse(tree)!r} has no meaning here")
        return handler(tree)

    def _constant(self, tree: ast.Constant) -> Node:
        if isinstance(tree.value, bool) or not isinstance(tree.value, int):
            raise self._error(tree, f"{ast.unparse(tree)} is not a whole number")
        return self._number(tree, tree.value)

    def _name(self, tree: ast.Name) -> Node:
        found = word(tree.id)
        if found is not None:
            return found
        if tree.id in TYPES:
            raise self._error(tree, f"write {tree.id}[ADDRESS] for memory, {tree.id}(VALUE) to cut")
        address = self._symbol(tree.id)
        if address is not None:
            return Constant(address)
        near = difflib.get_close_matches(tree.id, WORDS, 1)
        hint = f"did you mean {near[0]}?" if near else "there is x0 to x30, sp, current, u32[...]"
        raise self._error(tree, f"{tree.id!r} is no register and no symbol; {hint}")

    def _unary(self, tree: ast.UnaryOp) -> Node:
        operand = self._node(tree.operand)
        if isinstance(tree.op, ast.Not):
            return Inverse(operand)
        if isinstance(tree.op, ast.UAdd):
            return operand
        if isinstance(operand, Constant):
            value = -operand.value if isinstance(tree.op, ast.USub) else ~operand.value
            return self._number(tree, value)
        if isinstance(tree.op, ast.USub):
            return Binary(Opcode.SUB, Constant(0), operand, operand.signed)
        return Binary(Opcode.XOR, operand, Constant(-1), operand.signed)

    def _binary(self, tree: ast.BinOp) -> Node:
        if type(tree.op) not in _ARITHMETIC:
            raise self._error(tree, "there is + - * & | ^ << >>, and no division: use >> or hist")
        opcode, compute = _ARITHMETIC[type(tree.op)]
        left, right = self._node(tree.left), self._node(tree.right)
        is_shift = isinstance(tree.op, ast.LShift | ast.RShift)
        if is_shift and isinstance(right, Constant) and not 0 <= right.value < 64:
            raise self._error(tree.right, "values have 64 bits: shift by 0 to 63")
        if isinstance(left, Constant) and isinstance(right, Constant):
            return self._number(tree, compute(left.value, right.value))
        signed = left.signed or (right.signed and not is_shift)
        if opcode is Opcode.SHR and signed:
            opcode = Opcode.SAR
        return Binary(opcode, left, right, signed)

    def _compare(self, tree: ast.Compare) -> Node:
        operands = [tree.left, *tree.comparators]
        pairs = zip(operands, tree.ops, operands[1:], strict=False)
        found = [self._comparison(left, op, right) for left, op, right in pairs]
        node = found[0]
        for further in found[1:]:
            node = Both(node, further)
        return node

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Node:
        if isinstance(op, ast.In | ast.NotIn):
            return self._membership(left, right, inverted=isinstance(op, ast.NotIn))
        if type(op) not in _COMPARISONS:
            raise self._error(right, "compare with == != < <= > >= or in")
        return self._compared(left, op, right)

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Node:
        unsigned, signed, swapped, compute = _COMPARISONS[type(op)]
        a, b = self._node(left), self._node(right)
        if isinstance(a, Constant) and isinstance(b, Constant):
            return Constant(int(compute(a.value, b.value)))
        is_signed = a.signed or b.signed
        self._check_side(left, a, signed=is_signed, other=right)
        self._check_side(right, b, signed=is_signed, other=left)
        if swapped:
            a, b = b, a
        return Binary(signed if is_signed else unsigned, a, b)

    def _check_side(self, tree: ast.expr, node: Node, *, signed: bool, other: ast.expr) -> None:
        """A constant must be a value that the other side can have."""
        if not isinstance(node, Constant):
            return
        text = ast.unparse(other)
        if not signed and node.value < 0:
            message = f"{text} is unsigned, never {node.value}: write s64({text}) or s32({text})"
            raise self._error(tree, message)
        if signed and node.value >= _SIGNED_LIMIT:
            raise self._error(tree, f"{text} is signed, never {node.value:#x}: write u64({text})")

    def _membership(self, left: ast.expr, right: ast.expr, *, inverted: bool) -> Node:
        if not isinstance(right, ast.Tuple) or not right.elts:
            raise self._error(right, "after `in` comes a list in parentheses: x0 in (1, 2)")
        node = self._compared(left, ast.Eq(), right.elts[0])
        for further in right.elts[1:]:
            node = Either(node, self._compared(left, ast.Eq(), further))
        return Inverse(node) if inverted else node

    def _logic(self, tree: ast.BoolOp) -> Node:
        combine = Both if isinstance(tree.op, ast.And) else Either
        parts = [self._node(part) for part in tree.values]
        node = parts[0]
        for part in parts[1:]:
            node = combine(node, part)
        return node

    def _choice(self, tree: ast.IfExp) -> Node:
        condition, yes, no = (self._node(part) for part in (tree.test, tree.body, tree.orelse))
        return Choice(condition, yes, no, yes.signed or no.signed)

    def _memory(self, tree: ast.List) -> Node:
        if len(tree.elts) != 1:
            raise self._error(tree, "memory is one address in brackets: [x0 + 8]")
        return load(self._node(tree.elts[0]), "u64")

    def _typed_memory(self, tree: ast.Subscript) -> Node:
        kind = tree.value.id if isinstance(tree.value, ast.Name) else ""
        if kind not in TYPES:
            message = f"memory is {', '.join(TYPES)} and an address in brackets: u32[x0 + 8]"
            raise self._error(tree, message)
        return load(self._node(tree.slice), kind)

    def _call(self, tree: ast.Call) -> Node:
        name = _called(tree)
        if name == "str":
            raise self._error(tree, "a string can be captured as a whole, not computed with")
        if name not in TYPES:
            message = f"there is no {ast.unparse(tree.func)}(); casts are {', '.join(TYPES)}"
            raise self._error(tree, message)
        if len(tree.args) != 1 or tree.keywords:
            raise self._error(tree, f"{name}() takes one value")
        operand = self._node(tree.args[0])
        if isinstance(operand, Constant):
            return self._number(tree, _cast_constant(operand.value, name))
        return cast(operand, name)

    def _string(self, tree: ast.Call) -> Text:
        if not 1 <= len(tree.args) <= 2 or tree.keywords:
            raise self._error(tree, "write str(ADDRESS) or str(ADDRESS, BYTES)")
        limit: Node = self._node(tree.args[1]) if len(tree.args) == 2 else Constant(DEFAULT_STRING)
        if not isinstance(limit, Constant) or not 1 <= limit.value <= LONGEST_STRING:
            raise self._error(tree, f"a string has 1 to {LONGEST_STRING} bytes at most")
        return Text(self._node(tree.args[0]), limit.value)

    def _number(self, tree: ast.expr, value: int) -> Constant:
        if not -_SIGNED_LIMIT <= value <= MASK:
            raise self._error(tree, "numbers have 64 bits")
        return Constant(value)

    def _error(self, tree: ast.expr | None, what: str) -> ExpressionError:
        column = 0
        if tree is not None:
            column = tree.col_offset + len(self._text) - len(self._text.lstrip())
        return ExpressionError(_message(self._text, column, what), column + 1)


def _message(text: str, column: int, what: str) -> str:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return f"expression {shown!r}, column {column + 1}: {what}"


def _called(tree: ast.Call) -> str:
    return tree.func.id if isinstance(tree.func, ast.Name) else ""


def _cast_constant(value: int, kind: str) -> int:
    signed, bits = TYPES[kind]
    value %= 1 << bits
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _syntax(error: SyntaxError) -> str:
    text = error.msg or "it cannot be read"
    return text[0].lower() + text[1:]
