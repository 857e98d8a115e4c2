"""The generator accepts what is complete and refuses everything else."""

import copy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator import SpecError
from generator.arch import load_arch
from generator.wire import load_wire
from stepvisor._gen import arch as gen_arch
from stepvisor._gen import wire as gen_wire

WIRE = """
[constants]
SIZE = { value = 0x1000, doc = "bytes" }

[enums.color]
doc = "colors"
values = { RED = 1, BLUE = 2 }

[structs.base]
doc = "a header"
size = 16
fields = [
  { offset = 0, type = "u16", name = "kind" },
  { offset = 2, type = "u8", name = "bytes", count = 6 },
  { offset = 8, type = "u64", name = "time" },
]

[structs.child]
doc = "a header and more"
size = 24
extends = "base"
fields = [{ offset = 16, type = "u64", name = "value" }]
"""

ARCH = """
[encodings]
OTHER_EL1 = "3 0 1 0 1"

[registers.REG_EL2]
encoding = "3 4 1 1 0"
doc = "a register"
fields = [
  ["63:8", "-"],
  ["7", "1"],
  ["6:4", "MODE", "how"],
  ["3:0", "LEVEL", "how much"],
]

[enums.REG_EL2_MODE]
fields = ["REG_EL2.MODE"]
values = { SLOW = 0, FAST = 7 }
"""


def wire_tree() -> dict[str, Any]:
    return tomllib.loads(WIRE)


def arch_tree() -> dict[str, Any]:
    return tomllib.loads(ARCH)


def test_a_complete_layout_is_taken() -> None:
    wire = load_wire(wire_tree())

    child = wire.structs["child"]

    assert [(f.name, f.offset, f.size) for f in wire.all_fields(child)] == [
        ("kind", 0, 2),
        ("bytes", 2, 6),
        ("time", 8, 8),
        ("value", 16, 8),
    ]


def base_field(index: int, **changes: object) -> Any:
    """A change of one field of the base layout."""

    def change(tree: dict[str, Any]) -> None:
        tree["structs"]["base"]["fields"][index].update(changes)

    return change


def set_at(value: object, *path: str) -> Any:
    """A change of one entry."""

    def change(tree: dict[str, Any]) -> None:
        for key in path[:-1]:
            tree = tree[key]
        tree[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (base_field(2, offset=16), "base.time: gap, offset 0x10 but 0x8 comes next"),
        (base_field(1, count=5), "base.time: gap, offset 0x8 but 0x7 comes next"),
        (base_field(1, count=7), "base.time: overlap, offset 0x8 but 0x9 comes next"),
        (base_field(2, offset=4), "base.time: offset 0x4 is misaligned for u64"),
        (base_field(2, name="kind"), "base.kind: duplicate field name"),
        (base_field(2, type="u128"), "base.time: type u128 is none of u8, u16, u32, u64"),
        (base_field(1, count=0), "base.bytes: count 0 is less than 1"),
        (base_field(0, comment="x"), "base.kind: unknown key comment"),
        (set_at(24, "structs", "base", "size"), "base: fields end at 0x10, size is 0x18"),
        (set_at([], "structs", "child", "fields"), "child: fields end at 0x10, size is 0x18"),
        (set_at("none", "structs", "child", "extends"), "child: extends none, which is not"),
        (set_at({"RED": 1, "BLUE": 1}, "enums", "color", "values"), "value 1 is taken by RED"),
        (set_at({"RED": 1 << 32}, "enums", "color", "values"), "does not fit in 32 bits"),
        (set_at({"RED": -1}, "enums", "color", "values"), "does not fit in 32 bits"),
        (set_at({"value": 1 << 64}, "constants", "SIZE"), "SIZE: 0x1.* does not fit in 64 bits"),
        (set_at({"value": 1}, "constants", "COLOR_RED"), "SV_COLOR_RED: duplicate name"),
        (set_at({"value": 1}, "constants", "BASE_SIZE"), "SV_BASE_SIZE: duplicate name"),
    ],
)
def test_a_broken_wire_declaration_is_refused(change: Any, message: str) -> None:
    tree = wire_tree()
    change(tree)

    with pytest.raises(SpecError, match=message):
        load_wire(tree)


def test_a_size_that_is_no_multiple_of_8_is_refused() -> None:
    tree = wire_tree()
    tree["structs"] = {"odd": {"size": 4, "fields": [{"offset": 0, "type": "u32", "name": "word"}]}}

    with pytest.raises(SpecError, match="odd: size 0x4 is not a multiple of 8"):
        load_wire(tree)


def test_flags_are_single_bits() -> None:
    tree = wire_tree()
    tree["enums"]["color"] |= {"bits": True, "values": {"RED": 1, "PINK": 3}}

    with pytest.raises(SpecError, match=r"color\.PINK: 3 is not a single bit"):
        load_wire(tree)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([["63:8", "-"], ["6:0", "A"]], r"REG_EL2\.A: gap, bit 6 but 7 comes next"),
        ([["62:0", "A"]], r"REG_EL2\.A: gap, bit 62 but 63 comes next"),
        ([["63:1", "A"]], "REG_EL2: gap, bits 0 to 0 are missing"),
        ([["63:8", "A"], ["8:0", "B"]], r"REG_EL2\.B: overlap, bit 8 but 7 comes next"),
        ([["63:8", "A"], ["7:0", "A"]], r"REG_EL2\.A: duplicate field name"),
        ([["0:63", "A"]], r"REG_EL2\.A: bits 0:63 are upside down"),
    ],
)
def test_a_register_accounts_for_every_bit_once(fields: list[list[str]], message: str) -> None:
    tree = arch_tree()
    del tree["enums"]["REG_EL2_MODE"]
    tree["registers"]["REG_EL2"]["fields"] = fields

    with pytest.raises(SpecError, match=message):
        load_arch(tree)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_at({"A": 1, "B": 1}, "enums", "REG_EL2_MODE", "values"), "B: value 0x1 is taken by A"),
        (set_at({"A": 8}, "enums", "REG_EL2_MODE", "values"), "0x8 is wider than 3 bits"),
        (set_at(["REG_EL2.NO"], "enums", "REG_EL2_MODE", "fields"), r"no field REG_EL2\.NO"),
        (set_at(["NO.MODE"], "enums", "REG_EL2_MODE", "fields"), r"no field NO\.MODE"),
        (set_at({"MASK": 1}, "enums", "REG_EL2_MODE", "values"), "MODE_MASK: duplicate name"),
        (set_at("3 4 1 1 0", "encodings", "OTHER_EL1"), "duplicate encoding, that of OTHER_EL1"),
        (set_at("3 0 1 0 1", "encodings", "REG_EL2"), "REG_EL2: encoding declared twice"),
        (set_at("3 8 1 0 1", "encodings", "OTHER_EL1"), "is not op0 op1 CRn CRm op2"),
        (set_at("3 0 1 0", "encodings", "OTHER_EL1"), "is not op0 op1 CRn CRm op2"),
    ],
)
def test_a_broken_register_declaration_is_refused(change: Any, message: str) -> None:
    tree = arch_tree()
    change(tree)

    with pytest.raises(SpecError, match=message):
        load_arch(tree)


def test_the_abi_hash_follows_the_meaning_only() -> None:
    original = wire_tree()
    redocumented = copy.deepcopy(original)
    redocumented["structs"]["base"]["doc"] = "other words"
    changed = copy.deepcopy(original)
    changed["enums"]["color"]["values"]["BLUE"] = 3

    hashes = [load_wire(tree).abi_hash for tree in (original, redocumented, changed)]

    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


def test_a_stale_output_is_named_and_nothing_is_written(root: Path, tmp_path: Path) -> None:
    for part in ("spec", "el2", "docs/reference", "src/stepvisor/_gen"):
        shutil.copytree(root / part, tmp_path / part)
    header = tmp_path / "el2" / "include" / "wire_gen.h"
    header.write_text(header.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    stale = header.read_bytes()
    command = [sys.executable, str(tmp_path / "spec" / "gen.py")]

    check = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)

    assert check.returncode == 1
    assert check.stderr == "el2/include/wire_gen.h is stale: run `make gen`\n"
    assert header.read_bytes() == stale
    subprocess.run(command, check=True)
    subprocess.run([*command, "--check"], check=True)


def test_numpy_agrees_with_its_own_natural_layout() -> None:
    """NumPy's aligned layout of the same fields, found by itself, has the declared offsets."""
    for name in ("CONTROL", "CPU_REGISTERS", "RECORD_HIT", "PROBE_DESCRIPTOR", "VCPU_STATUS"):
        declared: np.dtype[np.void] = getattr(gen_wire, name)
        fields = [(field, declared[field]) for field in declared.names or ()]

        natural = np.dtype(fields, align=True)

        assert natural.itemsize == declared.itemsize
        assert natural.fields == declared.fields


def test_encodings_are_those_of_the_assembler(tmp_path: Path) -> None:
    """Binutils knows the registers by name: `mrs x0, NAME` must be `mrs x0, S<op0>_..`."""
    names = {name: key for key, name in gen_arch.SYSTEM_REGISTERS.items()}
    write_only = {"ICC_DIR_EL1", "ICC_EOIR1_EL1", "OSLAR_EL1"}
    write_only |= {"ICC_SGI0R_EL1", "ICC_SGI1R_EL1", "ICC_ASGI1R_EL1"}
    # For binutils 2.40.
    too_new = {"GCSCR_EL1", "HCRX_EL2", "ID_AA64ISAR2_EL1", "ID_AA64MMFR3_EL1"}

    def words(spell: Any) -> list[str]:
        source = tmp_path / "registers.s"
        lines = [".arch armv8.7-a+sve+sme+rng+memtag"]
        for name in sorted(names.keys() - too_new):
            register = spell(name)
            lines.append(f"msr {register}, x0" if name in write_only else f"mrs x0, {register}")
        source.write_text("\n".join([*lines, ""]), encoding="utf-8")
        target = tmp_path / "registers.o"
        assembler = ["aarch64-linux-gnu-as", str(source), "-o", str(target)]
        subprocess.run(assembler, check=True)
        dump = ["aarch64-linux-gnu-objdump", "-s", "-j", ".text", str(target)]
        return subprocess.run(dump, capture_output=True, text=True, check=True).stdout.split("\n")

    by_name = words(str)
    by_number = words(lambda name: "S{}_{}_C{}_C{}_{}".format(*names[name]))

    assert len(by_name) > 20
    assert by_name == by_number
