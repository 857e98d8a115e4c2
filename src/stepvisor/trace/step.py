"""Steps as the user sees them: where, which instruction, what it changed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stepvisor.arch.aarch32 import InstructionSet, if_then
from stepvisor.arch.disassemble import disassemble
from stepvisor.errors import MonitorError
from stepvisor.monitor.guest_event import Clock
from stepvisor.monitor.vocabulary import Outcome
from stepvisor.probe.decode import Flow, classify
from stepvisor.symbols.table import Symbol
from stepvisor.trace.depth import CallDepth
from stepvisor.trace.ending import ending_of

__all__ = ("Names", "Step", "StepReader")

_GENERAL = tuple(f"x{n}" for n in range(31))
_SYSTEM = ("sp_el0", "sp_el1", "ttbr0", "ttbr1", "tcr", "vbar")
_COLUMNS = (*_GENERAL, *_SYSTEM, "nzcv", "pstate")
_NZCV = np.uint64(0xF000_0000)
_NZCV_SHIFT = 28
_EL_SHIFT, _EL_MASK = 2, 3
_AARCH32 = 1 << 4
_AARCH32_NAMES = {f"x{n}": f"r{n}" for n in range(13)} | {"x13": "sp", "x14": "lr"}
_STACK_SELECTED = 1
_PLACES = 1 << 16
_TARGET = re.compile(r"#(0x[0-9a-f]+)$")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction that was stepped, or an interlude between two of them."""

    number: int
    """From 1."""
    time: float
    """Seconds since the guest's first instruction, when it was done."""
    vcpu: int
    outcome: Outcome
    address: int
    """Of the instruction; where the guest was, for INTERRUPT and RESUMED."""
    pc: int
    """Where it led."""
    symbol: str
    """Function of `address`, module:function in a module; empty where there is none."""
    offset: int
    """Bytes from that function's start."""
    word: int
    instruction_set: InstructionSet
    """Of `word`; a T32 instruction of 32 bits has its first halfword in the upper half."""
    text: str
    """Its disassembly; empty for INTERRUPT and RESUMED."""
    changed: Mapping[str, tuple[int, int]]
    """Registers with another value than before, old and new: x0 to x30, sp, nzcv, pstate (the rest
    of it), and the system registers that events carry; in AArch32 state r0 to r12, sp, lr."""
    depth: int
    """Calls and exceptions since stepping began that have not returned."""
    el: int
    """Exception level at which it ran."""
    esr: int
    """ESR_EL1 for an outcome of EXCEPTION, else 0."""

    @property
    def place(self) -> str:
        """Symbol+0x10, or the address."""
        return f"{self.symbol}+{self.offset:#x}" if self.symbol else f"{self.address:#x}"

    def __str__(self) -> str:
        text = self.text or self.outcome.name.lower()
        changes = " ".join(f"{name}={new:#x}" for name, (_, new) in self.changed.items())
        return f"{self.address:016x} {'  ' * self.depth}{self.place}  {text}  {changes}".rstrip()


class Names(Protocol):
    """What a symbol table, among others, can tell."""

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """The symbol that `address` belongs to and the distance from it, None if it is unknown."""


@dataclass(slots=True)
class StepReader:
    """Turns event records, in their order, into steps."""

    clock: Clock
    symbols: Names
    """Of the running kernel."""
    _number: int = 0
    _before: NDArray[np.uint64] | None = None
    _pc: int = 0
    _level: int = 1
    _pstate: int = 0
    _calls: CallDepth = field(default_factory=CallDepth)
    _names: dict[int, tuple[str, int]] = field(default_factory=dict)

    def read(self, records: NDArray[np.void]) -> Iterator[Step]:
        """Steps of an array of ``EVENT_DTYPE``."""
        if not len(records):
            return
        values = _columns(records)
        first = values[:1] if self._before is None else self._before
        differs = values != np.concatenate([first, values[:-1]])
        rows = zip(
            *(records[name].tolist() for name in _SCALARS),
            differs.any(axis=1).tolist(),
            strict=True,
        )
        for index, row in enumerate(rows):
            old = values[index - 1] if index else first[0]
            changed = _changes(old, values[index], differs[index], row[4]) if row[-1] else {}
            step = self._step(row, changed)
            if step is not None:
                yield step
            self._before = values[index : index + 1]

    def _step(self, row: tuple[int, ...], changed: Mapping[str, tuple[int, int]]) -> Step | None:
        ticks, vcpu, pc, code, pstate, address, word, esr, number, _ = row
        outcome, instruction_set = _outcome(code), _instruction_set(number)
        came_from, level, state = self._pc, self._level, self._pstate
        self._pc, self._level, self._pstate = pc, pstate >> _EL_SHIFT & _EL_MASK, pstate
        if outcome is Outcome.STARTED or ending_of(outcome) is not None:
            return None
        if outcome in {Outcome.INTERRUPT, Outcome.RESUMED}:
            address, word, instruction_set = came_from, 0, InstructionSet.A64
        self._number += 1
        symbol, offset = self._name(address)
        depth = self._calls.depth
        self._calls.follow(outcome, address, word, pc, instruction_set)
        return Step(
            number=self._number,
            time=self.clock.seconds(ticks),
            vcpu=vcpu,
            outcome=outcome,
            address=address,
            pc=pc,
            symbol=symbol,
            offset=offset,
            word=word,
            instruction_set=instruction_set,
            text=self._text(word, address, instruction_set, if_then(state)),
            changed=changed,
            depth=depth,
            el=level,
            esr=esr if outcome is Outcome.EXCEPTION else 0,
        )

    def _text(self, word: int, address: int, instruction_set: InstructionSet, block: int) -> str:
        """The disassembly, with the name of the place that a branch leads to."""
        if instruction_set is not InstructionSet.A64:
            return disassemble(word, address, instruction_set, block)
        if not word:
            return ""
        text = disassemble(word, address)
        target = _TARGET.search(text)
        if target is None or classify(word) is not Flow.IMMEDIATE:
            return text
        symbol, offset = self._name(int(target[1], 16))
        place = f"{symbol}+{offset:#x}" if offset else symbol
        return f"{text} <{place}>" if symbol else text

    def _name(self, address: int) -> tuple[str, int]:
        name = self._names.get(address)
        if name is None:
            found = self.symbols.at(address)
            name = (found[0].name, found[1]) if found is not None else ("", 0)
            if len(self._names) < _PLACES:
                self._names[address] = name
        return name


_SCALARS = (
    "ticks",
    "vcpu",
    "pc",
    "outcome",
    "pstate",
    "instruction_address",
    "word",
    "esr",
    "flags",
)


def _outcome(code: int) -> Outcome:
    try:
        return Outcome(code)
    except ValueError as error:
        raise MonitorError(f"a ring is damaged: a step with outcome {code}") from error


def _instruction_set(code: int) -> InstructionSet:
    try:
        return InstructionSet(code)
    except ValueError as error:
        message = f"a ring is damaged: an instruction of the set {code}"
        raise MonitorError(message) from error


def _columns(records: NDArray[np.void]) -> NDArray[np.uint64]:
    """A row per record, a column per name in `_COLUMNS`."""
    values = np.empty((len(records), len(_COLUMNS)), np.uint64)
    values[:, :31] = records["x"]
    for index, name in enumerate(_SYSTEM, 31):
        values[:, index] = records[name]
    pstate = records["pstate"]
    values[:, -2] = (pstate & _NZCV) >> np.uint64(_NZCV_SHIFT)
    values[:, -1] = pstate & ~_NZCV
    return values


def _changes(
    old: NDArray[np.uint64], new: NDArray[np.uint64], differs: NDArray[np.bool_], pstate: int
) -> dict[str, tuple[int, int]]:
    if pstate & _AARCH32:
        return {
            _AARCH32_NAMES.get(_COLUMNS[index], _COLUMNS[index]): (int(old[index]), int(new[index]))
            for index in np.flatnonzero(differs).tolist()
        }
    current = "sp_el1" if pstate >> _EL_SHIFT & _EL_MASK and pstate & _STACK_SELECTED else "sp_el0"
    found = {}
    for index in np.flatnonzero(differs).tolist():
        name = "sp" if _COLUMNS[index] == current else _COLUMNS[index]
        found[name] = (int(old[index]), int(new[index]))
    return found
