"""A guest: booted, probed, asked to do things, ended."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from stepvisor.errors import GuestConfigError, GuestError, MachineError, MonitorError, ProbeError
from stepvisor.guest.image import KernelImage
from stepvisor.machine.config import MachineConfig
from stepvisor.machine.console import Console
from stepvisor.machine.machine import Machine
from stepvisor.machine.monitor_image import find_monitor_image
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.interface import Policy, ProbeRequest, Progress, VcpuCounters
from stepvisor.monitor.vocabulary import Action, Event, StepEnd, StepOption, Until
from stepvisor.probe.many import find_functions, is_pattern, place_all
from stepvisor.probe.place import Code
from stepvisor.probe.plan import Method
from stepvisor.probe.program import read_program
from stepvisor.probe.resolve import Target, resolve
from stepvisor.probe.trap import parse_trap, planted
from stepvisor.symbols.kaslr import find_kernel_base
from stepvisor.symbols.modules import SEPARATOR, Modules
from stepvisor.symbols.table import SymbolTable
from stepvisor.symbols.task import comm_offset, user_tables_offset
from stepvisor.symbols.virtual import VirtualMemory
from stepvisor.trace.events import Callback, EventHub
from stepvisor.trace.listener import Listener
from stepvisor.trace.load import load_guest
from stepvisor.trace.loaded import CodeNames, ModuleFinder, module_code
from stepvisor.trace.shell import Completed, Shell
from stepvisor.trace.step_plan import (
    ENDS,
    SWITCH,
    any_code,
    step_end,
    step_options,
    step_probes,
    task_filter,
)
from stepvisor.trace.stepping import Stepping
from stepvisor.trace.trace import Trace
from stepvisor.trace.troubles import Trouble, Troubles
from stepvisor.trace.watch import CodeWatch

__all__ = ("Guest",)

_SELF_TEST_SECONDS = 20.0
_BOOT_SECONDS = 180.0
_BASE_SECONDS = 30.0
_POLL_SECONDS = 0.002
_LAST_WORDS_SECONDS = 2.0
_PANIC = re.compile(rb"Kernel panic - not syncing: [ -~]*")


class Guest:
    """A kernel that runs under the monitor. Made by :func:`stepvisor.boot`.

    Use it as a context manager: when it closes, QEMU is gone and nothing of it is left.
    """

    def __init__(
        self,
        kernel: KernelImage,
        initrd: bytes | None,
        *,
        config: MachineConfig,
        append: str = "",
        ready_line: str | None = None,
        echo: Callable[[bytes], None] | None = None,
        paused: bool = False,
    ) -> None:
        """Start the kernel; returns when the monitor has passed its self-test.

        A `paused` guest has not run its first instruction; :meth:`resume` lets it.

        :raise SetupError: When QEMU or the monitor is missing.
        :raise GuestConfigError: When this machine cannot hold this kernel.
        :raise MonitorError: When the self-test fails.
        """
        self._traces: list[Trace | Stepping] = []
        self._troubles = Troubles()
        self._tracing = threading.Semaphore()
        self._next_slot = 1
        self._symbols: SymbolTable | None = None
        self._running: SymbolTable | None = None
        self._tables: tuple[int, int] | None = None
        self._user_tables_told = False
        self._kernel: KernelImage | None = kernel
        self._monitor: El2Monitor | None = None
        self._machine = Machine(config, find_monitor_image(), echo)
        try:
            parameters = load_guest(self._machine, kernel, initrd, append)
            self._kernel_base = parameters.guest_entry
            self._finder = ModuleFinder(self._read_or_less, self._kernel_base)
            self._monitor = El2Monitor(
                self._machine.ram, parameters, self._machine.check_alive, paused=paused
            )
            self._hub = EventHub(self._monitor, self._troubles)
            self._shell = Shell(self._machine.console, self.check, ready_line)
            self._machine.resume()
            self._monitor.wait_running(_SELF_TEST_SECONDS)
        except BaseException:
            self.close()
            raise

    @property
    def console(self) -> Console:
        """The guest's serial console."""
        return self._machine.console

    @property
    def monitor(self) -> El2Monitor:
        """The backend below this guest.

        :raise GuestError: When the guest is closed.
        """
        if self._monitor is None:
            message = "the guest is closed"
            raise GuestError(message)
        return self._monitor

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._machine.pid

    @property
    def symbols(self) -> SymbolTable:
        """The kernel's symbols as linked, from its Image."""
        if self._symbols is None:
            if self._kernel is None:
                message = "the guest is closed"
                raise GuestError(message)
            self._symbols = SymbolTable.from_image(self._kernel)
            self._kernel = None  # tens of megabytes that nobody needs any more
        return self._symbols

    @property
    def running_symbols(self) -> SymbolTable:
        """The kernel's symbols where KASLR put them; waits until that can be seen."""
        if self._running is None:
            self._running = self.symbols.rebased(self._find_base())
        return self._running

    def physical(self, address: int) -> int:
        """Guest physical address of a link-time address of the kernel's Image."""
        return self._kernel_base + address - self.symbols.link_base

    @property
    def boot_seconds(self) -> float:
        """From the guest's first instruction to its first one in user space, 0 before that."""
        monitor = self.monitor
        if not monitor.user_ticks:
            return 0.0
        return (monitor.user_ticks - monitor.start_ticks) / monitor.frequency

    @property
    def code(self) -> Code:
        """The kernel's code as it is now; waits until user space runs."""
        self.wait_user()
        return self._code(self.modules)

    @property
    def modules(self) -> Modules:
        """The modules that the guest has loaded, and their symbols; read when first looked at."""
        return Modules(lambda: self._finder.read(self.running_symbols, self._memory()))

    def wait_user(self, timeout: float = _BOOT_SECONDS) -> None:
        """Wait until user space runs.

        :raise GuestError: When it does not within `timeout` seconds.
        :raise MachineError: When the guest ends instead, with its last words.
        """
        deadline = time.monotonic() + timeout
        while not self.monitor.user_ticks:
            self.check()
            if time.monotonic() > deadline:
                message = (
                    f"the guest did not reach user space within {timeout:g} s;"
                    f" its last words: {self._last_words()}"
                )
                raise GuestError(message)
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Nothing while the guest runs.

        :raise GuestError: When it has ended, with its last words.
        :raise MonitorError: When the monitor has stopped.
        """
        if self.console.ended:
            # QEMU is on its way out: its exit says more than the control page.
            self._machine.wait_ended(_LAST_WORDS_SECONDS)
        try:
            self.monitor.check()
        except GuestError as error:
            self._machine.wait_ended(_LAST_WORDS_SECONDS)
            raise GuestError(f"{error}; its last words: {self._last_words()}") from error

    def wait_ready(self, timeout: float = _BOOT_SECONDS) -> None:
        """Wait until the shell on the console takes commands.

        :raise GuestError: When none does within `timeout` seconds.
        """
        self.wait_user(timeout)
        self._shell.wait_ready(timeout)

    def run(self, command: str, timeout: float = 60.0) -> Completed:
        """Run a shell command in the guest; what it answers does not raise.

        :raise GuestError: When it does not end within `timeout` seconds.
        """
        return self._shell.run(command, timeout)

    def trace(
        self,
        *probes: str,
        policy: str | Policy = Policy.BLOCK,
        where: str | None = None,
        capture: Sequence[str] = (),
        count: Sequence[str] = (),
        hist: Sequence[str] = (),
        record: bool = True,
        plan: str | Method | None = None,
        trap: str | None = None,
        progress: Progress | None = None,
    ) -> Trace:
        """Probes that are armed while the returned trace is used in a ``with`` block.

        ::

            with guest.trace("vfs_read", where="x2 > 4096", capture=("x2", "[x3]")) as trace:
                ...
            with guest.trace("*", record=False) as trace:  # every function, counted
                ...

        A probe is SYMBOL, SYMBOL+0x10, an address, or a pattern such as ``vfs_*`` for the entries
        of all functions that fit; those that cannot be probed are in ``trace.refused``. In a module
        that is loaded it is MODULE:SYMBOL, MODULE:PATTERN, an address, or SYMBOL alone where only
        one has it.

        :param where: Only hits at which this expression is not 0 are recorded and counted.
        :param capture: Expressions that a hit holds in ``hit.values``, instead of x0 to x5.
        :param count: Conditions to be counted by the monitor: ``trace.counts()``.
        :param hist: Values for which the monitor keeps a histogram: ``trace.histograms()``.
        :param record: Whether hits are recorded, or only counted.
        :param plan: "emulate" or "step" for all of them; by default the cheaper one that can be.
        :param trap: "smc" or "brk" is planted for all of them; by default whichever is reached.
        :param progress: Called while probes are armed, with how many are, and of how many.
        :raise SymbolError: When a symbol does not exist, or no function fits a pattern.
        :raise ProbeError: When no probe can go there, or another trace has not ended.
        :raise ExpressionError: When an expression has no meaning.
        """
        if not probes:
            message = "a trace needs at least one probe"
            raise ProbeError(message)
        running = self.running_symbols
        asked = read_program(
            where=where,
            capture=capture,
            count=count,
            histograms=hist,
            record=record,
            symbol=lambda name: _address(running, name),
        )
        modules = self.modules
        placed, refused = place_all(
            self._code(modules),
            self.symbols,
            running,
            probes,
            self._slots,
            _method(plan),
            modules,
            limit=self.monitor.capabilities.probes,
        )
        requests = planted(placed, self._guarded(), parse_trap(trap))
        if asked is not None:
            self._tell_user_tables()
        trace = Trace(
            self.monitor,
            requests,
            _policy(policy),
            self._tracing,
            self.check,
            asked=asked,
            progress=progress,
            refused=refused,
            gone=self._watch(requests).gone,
        )
        self._traces = [old for old in self._traces if not old.closed] + [trace]
        return trace

    def step(
        self,
        symbol: str,
        until: str | int = "return",
        *,
        el0: bool = False,
        interrupts: bool = False,
        task: str | None = None,
        over: Sequence[str] = (),
        limit: int = 0,
        timeout: float = 60.0,
        trap: str | None = None,
        answer: Callback | None = None,
    ) -> Stepping:
        """Step the next run of a function, one instruction after the other.

        ::

            with guest.step("vfs_read") as steps:
                guest.run("head -c 1 /dev/zero")
                for step in steps:
                    print(step)

        :param until: "return"; a symbol or address that ends it before it runs; or a number of
            instructions.
        :param el0: Show the instructions of user code, too.
        :param interrupts: Step through the handlers of interrupts; else they run freely.
        :param task: Only a run in the task of this name (`/proc/PID/comm`).
        :param over: Functions that run freely. The switch to another task always does.
        :param limit: Instructions at most; 0 for any number.
        :param timeout: Seconds to wait for the run, and for each step.
        :param trap: "smc" or "brk" is planted; by default whichever is reached.
        :param answer: Called with the event of every step; the vCPU waits and does what it says.
        :raise SymbolError: When a symbol does not exist.
        :raise InputError: When something else that is asked for cannot be.

        Before user space runs (see ``paused`` of :func:`stepvisor.start`) the kernel's addresses
        are not known yet, so `until` must be "return" or a number.
        """
        names = [name for name in dict.fromkeys(over) if ENDS.get(name) is not Action.TASK_END]
        if SWITCH in self.symbols and SWITCH not in (symbol, *names):
            names.append(SWITCH)
        ends = [name for name in ENDS if name in self.symbols and name not in (symbol, *names)]
        modules = self.modules
        start, *others = [self._target(name, modules) for name in [symbol, *names]]
        end = step_end(until, limit, lambda text: self._running_address(text, modules))
        if until == "return" and "+" in start.label:
            message = f"{start.label} is inside a function: say when to stop with until=..."
            raise ProbeError(message)
        probes = step_probes(
            self._code(modules),
            start,
            others,
            [self._target(name, modules) for name in ends],
            self._slots,
        )
        stepping = Stepping(
            self._hub,
            self.monitor,
            planted(probes, self._guarded(), parse_trap(trap)),
            lambda pc: CodeNames(self._symbols_from(start, pc), lambda: self.modules),
            options=step_options(el0=el0, interrupts=interrupts),
            end=end,
            task=None if task is None else task_filter(task, self._comm_offset),
            timeout=timeout,
            answer=answer,
            check=self.check,
            gone=self._watch_step(probes[0], end),
        )
        self._traces = [old for old in self._traces if not old.closed] + [stepping]
        return stepping

    def on(
        self,
        *events: Event,
        vcpu: int | Sequence[int] | None = None,
        synchronous: bool = True,
        timeout: float = 1.0,
        interrupts: bool = False,
    ) -> Listener:
        """Watch for monitor events, with a function that answers them or without.

        ::

            @guest.on(stepvisor.Event.PRIVILEGED_CALL)
            def look(event):              # this vCPU waits, the others run
                return stepvisor.Answer.DENY

            with guest.on(stepvisor.Event.GUEST_REQUEST) as events:
                guest.run("...")
                for event in events:      # recorded; no vCPU waited
                    print(event.x[0])

        A function that raises, returns no answer or takes too long is reported in
        :attr:`troubles`, and the guest goes on. Functions are called one after the other, in one
        thread. SINGLESTEP steps the vCPUs from where they are.

        :param vcpu: One vCPU or several; None for all.
        :param synchronous: Whether a vCPU waits for the function; else its answers are ignored.
        :param timeout: Seconds that a vCPU waits.
        :param interrupts: Of SINGLESTEP: step through the handlers of interrupts, too. Where
            they come faster than their handlers can be stepped, half of the steps are handlers'.
        :raise InputError: When there is no such vCPU, or no such event here.
        """
        offered = self.monitor.capabilities
        wanted = frozenset(events)
        if not wanted or not wanted <= offered.events:
            names = ", ".join(sorted(event.name for event in offered.events))
            raise GuestConfigError(f"guest.on() takes one or more of the events {names}")
        vcpus = frozenset(
            range(offered.vcpus) if vcpu is None else [vcpu] if isinstance(vcpu, int) else vcpu
        )
        if not vcpus or not vcpus <= set(range(offered.vcpus)):
            message = f"vCPU {sorted(vcpus)}: this guest has 0 to {offered.vcpus - 1}"
            raise GuestConfigError(message)
        return Listener(
            self._hub,
            self.monitor,
            wanted,
            vcpus,
            synchronous=synchronous,
            timeout=timeout,
            options=StepOption.EL0 | (StepOption.INTERRUPTS if interrupts else StepOption(0)),
        )

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Events that were not answered as they should have been; the guest went on."""
        return self._troubles.all()

    def pause(self) -> None:
        """Make the guest stand still; probes, events and steps can be set up meanwhile."""
        self.monitor.set_paused(True)

    def resume(self) -> None:
        """Let the guest go on, or run its first instruction. Nothing when it runs."""
        self.monitor.set_paused(False)

    def check_probes(self, *probes: str, modules: bool = False) -> None:
        """Raise what :meth:`trace` would for `probes`, as far as the Image alone can tell.

        :param modules: Whether modules may be loaded by then: a name that is not known may be one
            of theirs.
        """
        for text in probes:
            if SEPARATOR in text or text.strip().lower().startswith("0x"):
                continue
            if is_pattern(text):
                find_functions(self.symbols, text)
            elif not modules:
                resolve(self.symbols, text)

    def check_program(
        self,
        where: str | None = None,
        capture: Sequence[str] = (),
        count: Sequence[str] = (),
        hist: Sequence[str] = (),
    ) -> None:
        """Raise what :meth:`trace` would for these expressions; before user space runs, too."""
        read_program(
            where=where,
            capture=capture,
            count=count,
            histograms=hist,
            symbol=lambda name: _address(self.symbols, name),
        )

    def counters(self) -> tuple[VcpuCounters, ...]:
        """What each vCPU has done."""
        return self.monitor.counters()

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Wait until the guest has powered off; False after `timeout` seconds."""
        return self._machine.wait_ended(timeout)

    def end_error(self) -> MachineError | None:
        """How QEMU ended, None while it runs; its `process_exit_code` is 0 after a power-off."""
        try:
            self._machine.check_alive()
        except MachineError as error:
            return error
        return None

    def close(self) -> None:
        """End the guest. Idempotent."""
        for trace in self._traces:
            trace.abandon()
        self._traces.clear()
        if hasattr(self, "_hub"):
            self._hub.close()
            del self._hub  # it knows the monitor, whose views of RAM keep a descriptor each
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        self._machine.close()

    def _last_words(self) -> str:
        """The line that says why a kernel panicked, else the end of the console."""
        panic = _PANIC.search(self.console.text())
        return panic[0].decode(errors="replace") if panic else self.console.tail() or "nothing"

    def _find_base(self) -> int:
        """Virtual address of the running kernel's first byte."""
        self.wait_user()
        base, self._tables = self._find_kernel()
        return base

    def _find_kernel(self) -> tuple[int, tuple[int, int]]:
        """Its virtual address, and TTBR1_EL1 and TCR_EL1 of a vCPU that has it mapped.

        With page-table isolation a vCPU has another TTBR1_EL1 while it is at EL0.
        """
        table, monitor = self.symbols, self.monitor
        vectors = table.get("vectors")
        deadline = time.monotonic() + _BASE_SECONDS
        while True:
            cpu = monitor.read_cpu()
            base = find_kernel_base(
                self._read_or_less,
                ttbr1=cpu.ttbr1,
                tcr=cpu.tcr,
                physical_base=self._kernel_base,
                text_offset=table.text.start - table.link_base,
                vbar=cpu.vbar,
                vectors_offset=vectors.address - table.link_base if vectors else None,
            )
            if base is not None:
                return base, (cpu.ttbr1, cpu.tcr)
            if time.monotonic() > deadline:
                message = "the running kernel's address cannot be found in its page tables"
                raise GuestError(message)

    def _read_or_less(self, address: int, size: int) -> bytes:
        try:
            return self.monitor.read_physical(address, size)
        except MonitorError:
            return b""

    @property
    def _early(self) -> bool:
        """Whether the kernel may not have mapped itself yet."""
        return self._running is None and not self.monitor.user_ticks

    def _target(self, text: str, modules: Modules) -> Target:
        if self._early:
            return any_code(self.symbols, text)
        return resolve(self.symbols, text, self.running_symbols, modules)

    def _running_address(self, text: str, modules: Modules) -> int:
        if self._early:
            message = (
                f"where {text} is cannot be known before user space runs;"
                " step until a number of instructions, or wait with guest.wait_user()"
            )
            raise GuestError(message)
        target = resolve(self.symbols, text, self.running_symbols, modules)
        return self.running_symbols.link_base + target.offset

    def _guarded(self) -> Callable[[int], bool]:
        """Which pages of the running kernel take indirect branches to pads only."""
        if self._early:
            return lambda _: True  # Not known: what may stand on a landing pad may stand anywhere.
        return self._memory().guarded

    def _symbols_from(self, target: Target, pc: int) -> SymbolTable:
        """The running kernel's symbols, now that `target` has been seen at `pc`."""
        if self._running is None:
            self._running = self.symbols.rebased(pc - target.offset)
        return self._running

    def _comm_offset(self) -> int:
        base = None if self._early else self.running_symbols.link_base
        return comm_offset(self.symbols, self._read_kernel, base)

    def _read_kernel(self, address: int, size: int) -> bytes:
        """The kernel's memory at a link-time address."""
        return self.monitor.read_physical(self.physical(address), size)

    def _tell_user_tables(self) -> None:
        """Once: what captures of user memory need where the kernel has none."""
        if self._user_tables_told:
            return
        self._user_tables_told = True
        offset = user_tables_offset(
            self.symbols, self._read_kernel, self.running_symbols.link_base, self._kernel_base
        )
        self.monitor.set_user_tables(offset)

    def _code(self, modules: Modules) -> Code:
        table = self.symbols
        text = range(table.text.start - table.link_base, table.text.stop - table.link_base)
        if self._early:
            text = range(table.end - table.link_base)
        base = (table if self._early else self.running_symbols).link_base
        return Code(
            self.monitor.read_physical,
            virtual_base=base,
            physical_base=self._kernel_base,
            text=text,
            beyond=module_code(modules, self._memory, base),
        )

    def _watch(self, probes: Sequence[ProbeRequest]) -> CodeWatch:
        kernel = self.running_symbols
        return CodeWatch(probes, range(kernel.link_base, kernel.end), self._memory)

    def _watch_step(
        self, start: ProbeRequest, end: StepEnd
    ) -> Callable[[], Sequence[ProbeRequest]]:
        """Tells when the first instruction of a run, or the place that ends it, has gone."""
        if self._early:
            return tuple
        places = [start]
        if end.until is Until.ADDRESS:
            ipa = self._memory().physical(end.address)
            places += [replace(start, slot=0, va=end.address, ipa=ipa)] if ipa is not None else []
        return self._watch(places).gone

    def _memory(self) -> VirtualMemory:
        """The running kernel's memory, as it is mapped now."""
        if self._tables is None and self.monitor.user_ticks:
            self._find_base()
        # A kernel that still begins has tables that do not last.
        ttbr1, tcr = self._tables or self._find_kernel()[1]
        return VirtualMemory(self._read_or_less, ttbr1=ttbr1, tcr=tcr)

    def _slots(self, count: int) -> int:
        """First of `count` slots not used recently: an old probe's late hits are no new one's."""
        limit = self.monitor.capabilities.probes
        if count > limit:
            message = f"{count} probes are too many: at most {limit}"
            raise ProbeError(message)
        if self._next_slot + count > limit + 1:
            self._next_slot = 1
        first = self._next_slot
        self._next_slot += count
        return first

    def __enter__(self) -> Self:
        """Closed on exit."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()


def _address(table: SymbolTable, name: str) -> int | None:
    symbol = table.get(name)
    return None if symbol is None else symbol.address


def _method(plan: str | Method | None) -> Method | None:
    try:
        return None if plan is None else Method(plan)
    except ValueError as error:
        names = ", ".join(repr(known.value) for known in Method)
        raise GuestConfigError(f"{plan!r} is not a plan; choose {names}, or None") from error


def _policy(policy: str | Policy) -> Policy:
    try:
        return Policy(policy)
    except ValueError as error:
        names = ", ".join(repr(known.value) for known in Policy)
        message = f"{policy!r} is not a policy for a full ring; choose {names}"
        raise GuestConfigError(message) from error
