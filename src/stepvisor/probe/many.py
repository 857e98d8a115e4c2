"""Probes by the thousand: every function whose name fits a pattern.

What costs time for one probe (reading around it, decoding its instruction) is done once for all.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from stepvisor.errors import ProbeError, SymbolError
from stepvisor.monitor.interface import ProbeRequest
from stepvisor.probe.decode import WORD_SIZE
from stepvisor.probe.place import Code, place
from stepvisor.probe.plan import Choice, Method, plan_for
from stepvisor.probe.resolve import Target, in_module, resolve
from stepvisor.symbols.modules import SEPARATOR, Modules
from stepvisor.symbols.suffix import JUMP_STUB, is_jump_stub
from stepvisor.symbols.table import Symbol, SymbolTable

__all__ = (
    "Refused",
    "find_functions",
    "is_pattern",
    "names_by_reason",
    "place_all",
    "place_many",
)

_WILDCARDS = frozenset("*?[")

_FREED = "it is freed after boot, or runs outside the kernel's address space"
_UNALIGNED = "no instruction begins there"
_NO_SLOT = "the monitor has no probe left for it"


@dataclass(frozen=True, slots=True)
class Refused:
    """A function that cannot be probed."""

    label: str
    reason: str
    may_run: bool = True
    """Whether a hit may be missing for it; the kernel has freed the code otherwise."""


def names_by_reason(refused: Iterable[Refused]) -> dict[str, list[str]]:
    """What cannot be probed, under the reason why."""
    names: dict[str, list[str]] = {}
    for one in refused:
        names.setdefault(one.reason, []).append(one.label)
    return names


def is_pattern(text: str) -> bool:
    """Whether `text` names functions by a pattern."""
    return not _WILDCARDS.isdisjoint(text)


def place_all(
    code: Code,
    table: SymbolTable,
    running: SymbolTable,
    probes: Sequence[str],
    slots: Callable[[int], int],
    wanted: Method | None = None,
    modules: Modules | None = None,
    *,
    limit: int,
) -> tuple[list[ProbeRequest], list[Refused]]:
    """Requests for what `probes` name, places and patterns; what is named twice is armed once.

    :param slots: The first of so many slots.
    :param limit: Slots that there are; functions that a pattern names beyond that are refused.
    :raise SymbolError: When there is no such symbol, or no function fits a pattern.
    :raise ProbeError: When a place that is named cannot be probed, or nothing of the patterns.
    """
    named = [resolve(table, text, running, modules) for text in probes if not is_pattern(text)]
    fitting: dict[int, Target] = {}
    refused: list[Refused] = []
    for pattern in (text for text in probes if is_pattern(text)):
        targets, others = _functions(table, running, modules, pattern)
        fitting |= {target.offset: target for target in targets}
        refused += others
    for target in named:
        fitting.pop(target.offset, None)
    found = list(fitting.values())
    room = max(0, limit - len(named))
    refused += [Refused(target.label, _NO_SLOT) for target in found[room:]]
    first = slots(len(named) + len(found[:room]))
    requests = list(place(code, named, first, wanted))
    if found[:room]:
        more, others = place_many(code, found[:room], first + len(requests), wanted)
        requests += more
        refused += others
    if not requests:
        raise ProbeError(f"no probe on {refused[0].label}: {refused[0].reason}")
    return requests, refused


def _functions(
    table: SymbolTable, running: SymbolTable, modules: Modules | None, pattern: str
) -> tuple[list[Target], list[Refused]]:
    """The function entries of the kernel, or of its modules, that fit a pattern."""
    if modules is None or SEPARATOR not in pattern:
        return find_functions(table, pattern)
    targets: list[Target] = []
    refused: list[Refused] = []
    for module, names in modules.fitting(pattern):
        with contextlib.suppress(SymbolError):  # another module has functions that fit
            found, others = find_functions(module.symbols, names)
            targets += [in_module(target, module, running) for target in found]
            refused += [replace(o, label=f"{module.name}{SEPARATOR}{o.label}") for o in others]
    if not targets and not refused:
        raise SymbolError(f"no function of a module in the guest fits {pattern!r}")
    return targets, refused


def find_functions(table: SymbolTable, pattern: str) -> tuple[list[Target], list[Refused]]:
    """Every function entry that fits a shell pattern, once each, by address.

    Entries of jump tables (`name.cfi_jt`) are no functions: they fit only where the pattern says
    `cfi_jt`.

    :raise SymbolError: When no function fits.
    """
    pattern = pattern.strip()
    found = [
        symbol
        for symbol in table.match(pattern)
        if symbol.is_text and (JUMP_STUB in pattern or not is_jump_stub(symbol.name))
    ]
    if not found:
        raise SymbolError(f"no function of the kernel fits {pattern!r}")
    targets: list[Target] = []
    refused: list[Refused] = []
    label = table.numbered_name
    for symbol in _once_each(found):
        if symbol.address not in table.text:
            refused.append(Refused(label(symbol), _FREED, may_run=False))
        elif symbol.address % WORD_SIZE:
            refused.append(Refused(label(symbol), _UNALIGNED))
        else:
            targets.append(Target(label(symbol), symbol.address - table.link_base))
    return targets, refused


def place_many(
    code: Code, targets: Sequence[Target], first_slot: int, wanted: Method | None = None
) -> tuple[list[ProbeRequest], list[Refused]]:
    """Requests for those of `targets` that can be probed, with slots from `first_slot`."""
    choose = functools.cache(lambda word: _choose(word, wanted))
    requests: list[ProbeRequest] = []
    refused: list[Refused] = []
    for stretch, group in code.stretches(targets):
        words = stretch.words()
        for target in group:
            word = int(words[(target.offset - stretch.text.start) // WORD_SIZE])
            choice = choose(word)
            if isinstance(choice, str):
                refused.append(Refused(target.label, choice))
            else:
                requests.append(code.planned(target, first_slot + len(requests), word, choice))
    return requests, refused


def _choose(word: int, wanted: Method | None) -> Choice | str:
    """The plan, or why there is none."""
    try:
        return plan_for(word, wanted)
    except ProbeError as error:
        return str(error)


def _once_each(symbols: Iterable[Symbol]) -> list[Symbol]:
    """One symbol for each address, the one with fewest underscores in front."""
    best: dict[int, tuple[int, Symbol]] = {}
    for symbol in symbols:
        underscores = len(symbol.name) - len(symbol.name.lstrip("_"))
        if symbol.address not in best or underscores < best[symbol.address][0]:
            best[symbol.address] = underscores, symbol
    return [symbol for _, symbol in best.values()]
