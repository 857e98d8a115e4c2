"""The parts of a run that need a real kernel."""

from collections.abc import Callable
from contextlib import ExitStack

from bench import idle, linux
from bench.debugger import measure_gdb, measure_stub
from bench.emulator import link_address, measure_log, measure_plugin
from bench.gdbstub import debugger_port
from bench.native import NativeMachine
from bench.results import IDLE, LINUX, STUB, Ratio, Results
from bench.sampling import Sample, interleave
from bench.sections import Stage
from bench.settings import Settings
from bench.userland import initramfs
from stepvisor.errors import MachineError, SetupError
from stepvisor.guest.distribution import GuestFiles
from stepvisor.trace.guest import Guest

__all__ = ("emulator_section", "linux_section")


_IDLE_ROWS = {
    "native_el2": "without monitor, kernel at EL2",
    "floor": "floor: a stage 2 and nothing else",
    "monitor": "under the monitor",
}

_LINUX_ROWS = {
    "linux_hit": "stepvisor: hit, emulated, 6 registers",
    "linux_step": "stepvisor: hit, stepped",
    "linux_reject": "stepvisor: hit, rejected by a predicate",
    "kprobe": "kprobe_events, three arguments",
    "function_tracer": "function tracer",
}


def linux_section(results: Results, settings: Settings, stage: Stage, files: GuestFiles) -> None:
    """A Debian kernel, under the monitor and without."""
    initrd = initramfs(files)
    tick = stage("boots")
    boots = interleave(
        idle.boots(files.kernel, initrd, full=settings.full), settings.boot_rounds, tick
    )
    with ExitStack() as stack:
        port = stack.enter_context(debugger_port())
        stage("Linux guests")
        guest = stack.enter_context(idle.boot_monitor(files.kernel, initrd))
        options = ("-gdb", f"unix:{port},server=on,wait=off")
        native = stack.enter_context(NativeMachine(files.kernel, initrd, options=options))
        others = idle.machines(files.kernel, initrd, full=settings.full)
        del others["native"], others["monitor"]
        booted: dict[str, idle.Machine] = {}
        for name, boot in others.items():
            booted[name] = boot()
            stack.callback(booted[name].close)
        machines: dict[str, idle.Machine] = {"native": native, "monitor": guest, **booted}
        _boots(results, boots, {name: idle.booted(m) for name, m in machines.items()})
        _idle(results, settings, machines, stage)
        _probes(results, settings, native, guest, stage)
        if settings.full:
            _every(results, settings, native, guest, stage)
        stage("debugger port")
        _stub(results, measure_stub(native, port, settings.stub_batches))
        if settings.full:
            _or_reason(results, STUB, "gdb", lambda: _gdb(results, measure_gdb(native, port, 100)))


def emulator_section(results: Results, settings: Settings, stage: Stage, files: GuestFiles) -> None:
    """QEMU's own means."""
    initrd, address = initramfs(files), link_address(files.kernel)
    reads, rounds = settings.reads // 10, settings.rounds // 2

    def log() -> None:
        without, logged = measure_log(files.kernel, initrd, address, reads, rounds)
        cost = (logged - without).scaled(1 / reads)
        results.add(LINUX, "QEMU -d exec,nochain -dfilter", cost, logged / without)

    def plugin() -> None:
        without, logged = measure_plugin(files.kernel, initrd, address, settings.reads, rounds)
        cost = (logged - without).scaled(1 / settings.reads)
        note = "no registers: QEMU's plugin interface 1 cannot read them"
        results.add(LINUX, "TCG plugin, logs vCPU, time, PC", cost, logged / without, note)

    stage("QEMU's execution log")
    _or_reason(results, LINUX, "QEMU -d exec,nochain -dfilter", log)
    stage("TCG plugin")
    _or_reason(results, LINUX, "TCG plugin", plugin)


def _boots(results: Results, boots: dict[str, Sample], last: dict[str, float]) -> None:
    """The boots that were ended at once, and as another round those of the machines in use."""
    for name, seconds in last.items():
        boots[name] = boots[name].and_another(seconds)
    results.ratios["idle_boot"] = Ratio.paired(boots["monitor"], boots["native"])
    _idle_row(results, "boot to user space", boots)


def _idle(
    results: Results, settings: Settings, machines: dict[str, idle.Machine], stage: Stage
) -> None:
    tick = stage("guests with nothing armed")
    by_machine = {
        name: idle.workloads(machine, settings.idle_scale) for name, machine in machines.items()
    }
    for workload, title in (("dd", "dd"), ("cpu", "compile-like"), ("ipi", "ping-pong of 2 vCPUs")):
        variants = {name: measure[workload] for name, measure in by_machine.items()}
        found = interleave(variants, settings.idle_rounds, tick)
        results.ratios[f"idle_{workload}"] = Ratio.paired(found["monitor"], found["native"])
        _idle_row(results, title, found)


def _idle_row(results: Results, title: str, found: dict[str, Sample]) -> None:
    native = found["native"]
    results.add(IDLE, f"{title}: without monitor, kernel at EL1", native)
    for name, what in _IDLE_ROWS.items():
        if name in found:
            results.add(IDLE, f"{title}: {what}", found[name], found[name] / native)


def _probes(
    results: Results, settings: Settings, native: NativeMachine, guest: Guest, stage: Stage
) -> None:
    workloads = linux.native_workloads(native, settings.reads)
    workloads |= linux.monitor_workloads(guest, settings.reads)
    variants = {name: workload.measure for name, workload in workloads.items()}
    found = interleave(variants, settings.linux_rounds, stage("hits in a kernel"))
    costs = {
        name: (found[name] - found[workload.base]).scaled(1 / workload.reads)
        for name, workload in workloads.items()
    }
    for name, what in _LINUX_ROWS.items():
        workload = workloads[name]
        results.add(LINUX, what, costs[name], found[name] / found[workload.base])
    results.ratios["emulated_hit_vs_kprobe"] = Ratio.paired(costs["linux_hit"], costs["kprobe"])
    results.kept["linux_hit"] = costs["linux_hit"]


def _every(
    results: Results, settings: Settings, native: NativeMachine, guest: Guest, stage: Stage
) -> None:
    workloads = linux.every_function(guest, native, settings.reads // 10)
    variants = {name: workload.measure for name, workload in workloads.items()}
    found = interleave(variants, settings.rounds // 2, stage("every function"))
    rows = {
        "every_probe": "stepvisor: every function of the kernel counted",
        "every_tracer": "function tracer: every function",
    }
    for name, what in rows.items():
        base = found[workloads[name].base]
        note = "of one read, all functions that it calls together"
        cost = (found[name] - base).scaled(1 / workloads[name].reads)
        results.add(LINUX, what, cost, found[name] / base, note)


def _stub(results: Results, found: dict[str, Sample]) -> None:
    kept = results.kept
    results.add(STUB, "our client: stop, read registers, step, continue", found["hit"])
    results.add(STUB, "our client: step", found["step"])
    results.add(STUB, "our client: step, read registers", found["step_registers"])
    results.ratios["emulated_hit_vs_gdbstub"] = Ratio.of_medians(kept["linux_hit"], found["hit"])
    results.ratios["step_vs_gdbstub_step"] = Ratio.of_medians(kept["step"], found["step"])


def _gdb(results: Results, found: dict[str, Sample]) -> None:
    results.add(STUB, "gdb: stop, info registers, continue", found["hit"])
    results.add(STUB, "gdb: stepi", found["step"])


def _or_reason(results: Results, group: str, what: str, measure: Callable[[], None]) -> None:
    """Measure, or say in the table why not."""
    try:
        measure()
    except (SetupError, MachineError) as error:
        results.add(group, what, None, note=str(error))
