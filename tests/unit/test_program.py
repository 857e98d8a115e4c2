"""The probe language against an evaluator of Python's own trees, and the rules of programs."""

import random
import re

import expressions
import machine
import numpy as np
import pytest

from stepvisor._gen import wire
from stepvisor.errors import ExpressionError
from stepvisor.monitor.program import Instruction, Opcode, Program, encode, refusal
from stepvisor.probe.assembler import Assembler
from stepvisor.probe.compile import Compiler
from stepvisor.probe.parse import parse, parse_capture, split_list
from stepvisor.probe.program import read_program

MEMORY_BASE = 0xFFFF_8000_1234_0000
MEMORY = bytes(range(1, 129)) + bytes(range(255, 127, -1))


def memory(address: int, size: int) -> int:
    offset = address - MEMORY_BASE
    if not 0 <= offset <= len(MEMORY) - size:
        raise KeyError(address)
    return int.from_bytes(MEMORY[offset : offset + size], "little")


def nowhere(address: int, _size: int) -> int:
    raise KeyError(address)


def compiled(text: str) -> list[Instruction]:
    """A program that captures one value."""
    out = Assembler()
    Compiler(out).capture(parse_capture(text))
    out.put(Opcode.ACCEPT)
    return out.code


def run(text: str, registers: dict[str, int]) -> int:
    code = compiled(text)
    assert refusal(code) is None
    guest = {int(name[1:]): value for name, value in registers.items()}
    outcome = machine.simulate(code, guest, memory)
    assert len(outcome.values) == 1
    return outcome.values[0]


def random_registers(rng: random.Random) -> dict[str, int]:
    choices = (0, 1, 7, 4096, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**64 - 22)
    registers = {
        f"x{n}": rng.choice((*choices, rng.getrandbits(64), rng.getrandbits(12))) for n in range(8)
    }
    registers["x7"] = MEMORY_BASE + rng.choice((0, 8, 100, 216, 250, 4096))
    return registers


@pytest.mark.parametrize("seed", range(20))
def test_random_expressions(seed: int) -> None:
    rng = random.Random(seed)
    done = 0
    while done < 150:
        text = expressions.value(rng, rng.randrange(1, 6), ("x7", "[x7]"))
        if len(text) > 900 or len(compiled(text)) > wire.MAX_PROGRAM:
            continue
        registers = random_registers(rng)
        assert run(text, registers) == machine.Oracle(registers, memory)(text), (text, registers)
        done += 1


@pytest.mark.parametrize(
    ("text", "x0", "expected"),
    [
        ("x0", 5, 5),
        ("w0", 2**32 + 5, 5),
        ("x0 + 1", 2**64 - 1, 0),
        ("-x0", 1, 2**64 - 1),
        ("x0 >> 60", 2**64 - 1, 15),
        ("s64(x0) >> 60", 2**64 - 1, 2**64 - 1),
        ("s32(x0) < 0", 0xFFFF_FFEA, 1),
        ("s32(x0) == -22", 0xFFFF_FFEA, 1),
        ("x0 < 0x8000000000000000", 2**63, 0),
        ("s64(x0) < -1", 2**64 - 2, 1),
        ("0 < x0 <= 10", 10, 1),
        ("0 < x0 <= 10", 0, 0),
        ("x0 in (1, 2, 3)", 3, 1),
        ("x0 not in (1, 2, 3)", 3, 0),
        ("x0 and 7", 3, 1),
        ("not x0", 0, 1),
        ("1 if x0 == 2 else 5", 3, 5),
        ("[x0]", MEMORY_BASE, 0x0807060504030201),
        ("u16[x0 + 2]", MEMORY_BASE, 0x0403),
        ("s8[x0 + 128]", MEMORY_BASE, 2**64 - 1),
        ("u32[8 + x0]", MEMORY_BASE, 0x0C0B0A09),
        ("u8[x0 - 1]", MEMORY_BASE, 0),
        ("u8[x0 - 1] == 0", MEMORY_BASE, 1),
        ("1 << 12 | 3", 0, 4099),
        ("s8(255) + x0", 0, 2**64 - 1),
        ("~x0 & 0xff", 0, 255),
    ],
)
def test_meaning(text: str, x0: int, expected: int) -> None:
    assert run(text, {"x0": x0}) == expected


def test_the_right_side_is_not_looked_at_without_need() -> None:
    code = compiled("x0 == 0 or [x1] == 5")
    outcome = machine.simulate(code, {0: 0, 1: 0}, memory)
    longer = machine.simulate(code, {0: 1, 1: 0}, memory)
    assert outcome.values == [1]
    assert longer.values == [0]
    assert outcome.executed < longer.executed


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "empty"),
        ("x2 >", 5, "invalid syntax"),
        ("x2 > foo", 6, "no register and no symbol"),
        ("x31", 1, "did you mean x3"),
        ("x0 / 2", 1, "no division"),
        ("x0 == -1", 7, "never -1"),
        ("s64(x0) < 0xffffffffffffffff", 11, "is signed"),
        ("  x0 < -1", 8, "is unsigned"),
        ("x0 is None", 7, "compare with"),
        ("x0.y", 1, "no meaning"),
        ("x0 << 64", 7, "64 bits"),
        ("1 << 64", 6, "64 bits"),
        ("0x10000000000000000", 1, "64 bits"),
        ("'a'", 1, "whole number"),
        ("True", 1, "whole number"),
        ("1.5", 1, "whole number"),
        ("foo(1)", 1, "there is no foo()"),
        ("u32(1, 2)", 1, "takes one value"),
        ("u32", 1, "u32[ADDRESS]"),
        ("u24[x0]", 1, "u32[x0 + 8]"),
        ("[x0, x1]", 1, "one address"),
        ("[x0:4]", 4, "syntax"),
        ("x0 in [1]", 7, "parentheses"),
        ("1 + str(x0)", 5, "captured as a whole"),
        ("str(x0, 513)", 1, "1 to 512"),
        ("str(x0, x1)", 1, "1 to 512"),
        ("str()", 1, "str(ADDRESS)"),
        ("x0 > \N{GREEK SMALL LETTER ALPHA}", 6, "plain character"),
        ("x0 >\n3", 5, "plain character"),
        ("lambda: 1", 1, "no meaning"),
        ("(x0 := 3)", 2, "no meaning"),
        ("x0 if", 6, "syntax"),
        ("__import__('os').system('true')", 1, "there is no"),
    ],
)
def test_refusals_name_the_column(text: str, column: int, words: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(words)) as caught:
        parse_capture(text)
    assert caught.value.column == column, str(caught.value)


@pytest.mark.parametrize(
    "text", ["(" * 400 + "x0" + ")" * 400, "-" * 900 + "x0", "[" * 400 + "x0" + "]" * 400]
)
def test_deep_nesting_is_an_error(text: str) -> None:
    with pytest.raises(ExpressionError, match="nested"):
        Compiler(Assembler()).value(parse(text))


def test_too_long_to_read() -> None:
    with pytest.raises(ExpressionError, match="characters"):
        parse("x0 + " * 300 + "1")


def test_symbols_are_addresses() -> None:
    node = parse("u64[jiffies]", {"jiffies": 0xFFFF_8000_0000_1000}.get)
    out = Assembler()
    Compiler(out).value(node)
    assert out.code[0].immediate == 0xFFFF_8000_0000_1000


def test_sixteen_registers_are_enough() -> None:
    """A full tree of depth 8 needs 9 registers, whatever hangs to the left or right."""
    text = "x0"
    for _ in range(7):
        text = f"({text}*{text})"
    assert max(max(i.d, i.a, i.b) for i in compiled(text)) < 16


# Programs.

END = Instruction(Opcode.ACCEPT)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ([], "instructions"),
        ([END] * 257, "instructions"),
        ([Instruction(Opcode.CONSTANT)], "does not end"),
        ([Instruction(Opcode.JUMP, target=1), END], "jumps out"),
        ([Instruction(Opcode.JUMP_IF_ZERO, target=5), END], "jumps out"),
        ([Instruction(Opcode.JUMP_COMPARE, target=1), END], "jumps out"),
        ([Instruction(Opcode.JUMP_COMPARE, d=31), END], "no such comparison"),
        ([Instruction(Opcode.JUMP_COMPARE, a=8), END], "no such comparison"),
        ([Instruction(Opcode.JUMP_COMPARE, b=4), END], "no such comparison"),
        ([Instruction(Opcode.ADD, d=16), END], "registers"),
        ([Instruction(Opcode.GUEST, immediate=40), END], "guest value"),
        ([Instruction(Opcode.EMIT_GUEST, immediate=40), END], "guest value"),
        ([*[Instruction(Opcode.EMIT_GUEST)] * 129, END], "captures"),
        ([Instruction(Opcode.LOAD, b=3), END], "bytes"),
        ([Instruction(Opcode.COUNT, immediate=1024), END], "counter"),
        ([Instruction(Opcode.HISTOGRAM, immediate=128), END], "histogram"),
        ([Instruction(Opcode.EMIT_STRING, target=513), END], "too long"),
        ([*[Instruction(Opcode.EMIT)] * 129, END], "captures"),
    ],
)
def test_refused_programs(code: list[Instruction], reason: str) -> None:
    assert reason in (refusal(code) or "")


def test_order_and_jumps_of_a_whole_program() -> None:
    """The predicate first; then everything is counted; a record only where one is wanted."""
    asked = read_program(
        where="x0 > 1", count=("x0 > 5",), histograms=("x1",), capture=("x0", "str(x2)")
    )
    assert asked is not None
    code = asked.program(3, 7).code
    assert refusal(code) is None
    runs = [machine.simulate(code, {0: x0, 1: 9, 2: 77}, nowhere) for x0 in (1, 5, 6)]
    assert [run.accepted for run in runs] == [False, True, True]
    assert [run.counted for run in runs] == [[], [], [3]]
    assert [run.histogram for run in runs] == [[], [(7, 9)], [(7, 9)]]
    assert [run.values for run in runs] == [[], [5], [6]]
    assert runs[2].strings == [(77, 64)]


_EDGES = (0, 1, 4096, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)


@pytest.mark.parametrize("side", ["x3", "w3", "s64(x3)", "s32(x3)", "u64(x3)", "u32(x3)"])
@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_register_and_a_number_are_compared_at_once(
    side: str, operator: str, swapped: bool
) -> None:
    """One instruction decides, whichever side the register is on, whatever part of it is meant."""
    signed = side.startswith("s")
    limit = 2**31 if side.startswith(("w", "s32", "u32")) else 2**63
    for value in (-limit, -limit + 1, -1, *_EDGES) if signed else _EDGES:
        where = f" {operator} ".join((str(value), side) if swapped else (side, str(value)))
        if signed and value >= 2**63:
            continue  # refused: no signed number
        asked = read_program(where=where)
        assert asked is not None
        code = asked.program().code
        if value < (limit if signed else 2 * limit):
            assert [i.opcode for i in code] == [Opcode.JUMP_COMPARE, Opcode.ACCEPT, Opcode.REJECT]
        for number in {(edge + near) % 2**64 for edge in _EDGES for near in (-1, 0, 1)}:
            expected = bool(machine.Oracle({"x3": number}, nowhere)(where))
            assert machine.simulate(code, {3: number}, nowhere).accepted == expected, where


def test_without_captures_the_record_is_plain() -> None:
    asked = read_program(where="x0 == 1")
    assert asked is not None
    assert asked.layout is None
    opcodes = {instruction.opcode for instruction in asked.program().code}
    assert opcodes & {Opcode.EMIT, Opcode.EMIT_GUEST} == set()


def test_counting_only() -> None:
    asked = read_program(where="x0 == 1", record=False)
    assert asked is not None
    code = asked.program().code
    assert refusal(code) is None
    runs = [machine.simulate(code, {0: x0}, nowhere) for x0 in (0, 1)]
    assert [(run.accepted, run.hits) for run in runs] == [(False, 0), (False, 1)]
    everything = read_program(record=False)
    assert everything is not None
    assert len(everything.program().code) == 2


def test_nothing_asked_is_no_program() -> None:
    assert read_program() is None


def test_columns_say_what_they_hold() -> None:
    asked = read_program(capture=(" x0 ", "s32[x1]", "str(x2, 9)", "-w3"))
    assert asked is not None
    kinds = [(value.name, value.kind.name, value.limit) for value in asked.layout.values]
    assert kinds == [
        ("x0", "UNSIGNED", 0),
        ("s32[x1]", "SIGNED", 0),
        ("str(x2, 9)", "TEXT", 9),
        ("-w3", "UNSIGNED", 0),
    ]


@pytest.mark.parametrize(
    ("capture", "words"),
    [(("str(x0, 512)", "str(x1, 512)"), "1040 bytes"), ((" + ".join(["x0"] * 100),) * 2, "401")],
)
def test_too_much_is_refused(capture: tuple[str, ...], words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        read_program(capture=capture)


def test_lists_split_at_outer_commas() -> None:
    assert split_list("x0, str(x1, 64),u32[x0]") == ("x0", "str(x1, 64)", "u32[x0]")


def test_encoded_as_the_wire_says() -> None:
    table = encode(Program((Instruction(Opcode.LOAD, 1, 2, 8, 0, -8), END)))
    assert table.tobytes() == bytes([21, 1, 2, 8, 0, 0, 0, 0]) + b"\xf8" + b"\xff" * 7 + bytes(16)
    assert table.dtype == np.dtype(wire.INSTRUCTION)
