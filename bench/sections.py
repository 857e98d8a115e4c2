"""The parts of a run, each of which adds its rows and ratios to the results."""

from collections.abc import Callable
from contextlib import ExitStack

from bench import floors, idle, linux, many, scaling
from bench.callback import measure_callback
from bench.debugger import measure_gdb, measure_stub
from bench.emulator import link_address, measure_log, measure_plugin
from bench.gdbstub import debugger_port
from bench.native import NativeMachine
from bench.results import Ratio, Results, Series
from bench.sampling import Sample, interleave
from bench.settings import Settings
from bench.userland import initramfs
from stepvisor.errors import MachineError, SetupError
from stepvisor.guest.distribution import GuestFiles
from stepvisor.trace.guest import Guest

__all__ = ("Stage", "bare_section", "emulator_section", "linux_section", "many_section")

Stage = Callable[[str], Callable[[], None]]
"""Says what is measured now; returns what to call when a piece of it is done."""

_BARE = "bare metal: a loop around one instruction"
_LINUX = "Linux: dd bs=1, an event for each vfs_read"
_STUB = "QEMU's debugger port, same guest (time of the host)"
_IDLE = "Linux, nothing armed (time of the whole workload)"

_FLOOR_ROWS = {
    "bare_smc": "floor: SMC trap, nothing done",
    "hit": "hit, emulated (mov x9, x30), 6 registers recorded",
    "hit_nop": "hit, emulated (nop)",
    "hit_add": "hit, emulated (add)",
    "hit_pac": "hit, emulated (paciasp)",
    "predicate_reject": "hit, rejected by a predicate",
    "hit_stepped": "hit, stepped (plan: step)",
    "hit_region": "hit on an exclusive sequence (plan: region)",
    "bare_step": "floor: step trap, nothing done",
    "step": "step, all registers recorded",
    "step_silent": "step, not recorded",
}

_LINUX_ROWS = {
    "linux_hit": "stepvisor: hit, emulated, 6 registers",
    "linux_step": "stepvisor: hit, stepped",
    "linux_reject": "stepvisor: hit, rejected by a predicate",
    "kprobe": "kprobe_events, three arguments",
    "function_tracer": "function tracer",
}


def bare_section(results: Results, settings: Settings, stage: Stage) -> None:
    """Hits and steps against their floors; callbacks."""
    with floors.open_bench() as bench:
        found = floors.measure_floors(
            bench, settings.floor_rounds, more=settings.full, tick=stage("hits, steps, floors")
        )
    for name, what in _FLOOR_ROWS.items():
        if name in found:
            results.add(_BARE, what, found[name])
    for key, (over, under) in floors.RATIOS.items():
        results.ratios[key] = Ratio.paired(found[over], found[under])
    if settings.full:
        tick = stage("callbacks")
        results.add(_BARE, "HVC answered by a Python function", measure_callback(settings.rounds))
        tick()
    results.kept["step"] = found["step"]


def many_section(results: Results, settings: Settings, stage: Stage) -> None:
    """Cost against the number of probes; with full settings against vCPUs and captures, too."""
    counts = many.COUNTS if settings.full else (1, many.PLACES)
    with many.open_many(counts) as bench:
        hot = many.measure_hot(bench, settings.many_rounds, stage("many probes"))
        spread, floor = many.measure_spread(bench, settings.rounds, stage("many probes, each"))
    results.ratios["hit_60000_probes_vs_1"] = Ratio.paired(hot[many.PLACES], hot[1])
    curves = {"one of them hit": hot, "each hit in turn": spread, "floor, each in turn": floor}
    results.series.append(Series("number of probes", "probes armed", curves))
    if settings.full:
        hits, bare = scaling.measure_vcpus(settings.rounds, stage("vCPUs"))
        curves = {"hit": hits, "floor": bare}
        results.series.append(Series("vCPUs that hit", "vCPUs", curves))
        registers, memory = scaling.measure_capture(settings.rounds, stage("captures"))
        curves = {"registers": registers, "guest memory": memory}
        results.series.append(Series("capture size", "numbers of 8 bytes captured", curves))


def linux_section(results: Results, settings: Settings, stage: Stage, files: GuestFiles) -> None:
    """A Debian kernel, under the monitor and without."""
    initrd = initramfs(files)
    tick = stage("boots")
    boots = interleave(
        idle.boots(files.kernel, initrd, el2=settings.full), settings.boot_rounds, tick
    )
    results.ratios["idle_boot"] = Ratio.paired(boots["monitor"], boots["native"])
    _idle_row(results, "boot to user space", boots)
    with ExitStack() as stack:
        port = stack.enter_context(debugger_port())
        tick = stage("Linux guests")
        guest = stack.enter_context(idle.boot_monitor(files.kernel, initrd))
        options = ("-gdb", f"unix:{port},server=on,wait=off")
        native = stack.enter_context(NativeMachine(files.kernel, initrd, options=options))
        others = {}
        if settings.full:
            others["native_el2"] = stack.enter_context(
                idle.boot_native(files.kernel, initrd, el2=True)
            )
        _idle(results, settings, {"native": native, "monitor": guest, **others}, stage)
        _probes(results, settings, native, guest, stage)
        tick = stage("debugger port")
        _stub(results, measure_stub(native, port, settings.stub_batches))
        if settings.full:
            _or_reason(results, _STUB, "gdb", lambda: _gdb(results, measure_gdb(native, port, 100)))


def emulator_section(results: Results, settings: Settings, stage: Stage, files: GuestFiles) -> None:
    """QEMU's own means."""
    initrd, address = initramfs(files), link_address(files.kernel)
    reads, rounds = settings.reads // 10, settings.rounds // 2

    def log() -> None:
        without, logged = measure_log(files.kernel, initrd, address, reads, rounds)
        cost = (logged - without).scaled(1 / reads)
        results.add(_LINUX, "QEMU -d exec,nochain -dfilter", cost, logged / without)

    def plugin() -> None:
        without, logged = measure_plugin(files.kernel, initrd, address, settings.reads, rounds)
        cost = (logged - without).scaled(1 / settings.reads)
        note = "no registers: QEMU's plugin interface 1 cannot read them"
        results.add(_LINUX, "TCG plugin, logs vCPU, time, PC", cost, logged / without, note)

    stage("QEMU's execution log")
    _or_reason(results, _LINUX, "QEMU -d exec,nochain -dfilter", log)
    stage("TCG plugin")
    _or_reason(results, _LINUX, "TCG plugin", plugin)


def _idle(
    results: Results, settings: Settings, machines: dict[str, NativeMachine | Guest], stage: Stage
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
    results.add(_IDLE, f"{title}: without monitor, kernel at EL1", native)
    if "native_el2" in found:
        sample = found["native_el2"]
        results.add(_IDLE, f"{title}: without monitor, kernel at EL2", sample, sample / native)
    results.add(_IDLE, f"{title}: under the monitor", found["monitor"], found["monitor"] / native)


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
        results.add(_LINUX, what, costs[name], found[name] / found[workload.base])
    results.ratios["emulated_hit_vs_kprobe"] = Ratio.paired(costs["linux_hit"], costs["kprobe"])
    results.kept["linux_hit"] = costs["linux_hit"]


def _stub(results: Results, found: dict[str, Sample]) -> None:
    kept = results.kept
    results.add(_STUB, "our client: stop, read registers, step, continue", found["hit"])
    results.add(_STUB, "our client: step", found["step"])
    results.add(_STUB, "our client: step, read registers", found["step_registers"])
    results.ratios["emulated_hit_vs_gdbstub"] = Ratio.of_medians(kept["linux_hit"], found["hit"])
    results.ratios["step_vs_gdbstub_step"] = Ratio.of_medians(kept["step"], found["step"])


def _gdb(results: Results, found: dict[str, Sample]) -> None:
    results.add(_STUB, "gdb: stop, info registers, continue", found["hit"])
    results.add(_STUB, "gdb: stepi", found["step"])


def _or_reason(results: Results, group: str, what: str, measure: Callable[[], None]) -> None:
    """Measure, or say in the table why not."""
    try:
        measure()
    except (SetupError, MachineError) as error:
        results.add(group, what, None, note=str(error))
