"""Handshake, mailbox, rings and heartbeat against a monitor in a thread."""

import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from fake_monitor import RAM_BASE, FakeMonitor

from stepvisor._gen import wire
from stepvisor.errors import GuestError, MachineError, MonitorError, ProbeError
from stepvisor.machine.ram import GuestRam
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.interface import Plan, Policy, ProbeRequest
from stepvisor.monitor.link import BootParameters
from stepvisor.monitor.mailbox import RefusedError

RAM_SIZE = wire.REGION_SIZE + (2 << 20)
DESCRIPTOR = struct.Struct("<QQIIII")
SIZE = wire.PROBE_DESCRIPTOR.itemsize


class World:
    """Memory with both ends on it."""

    def __init__(self) -> None:
        self.ram = GuestRam(RAM_BASE, RAM_SIZE)
        view = self.ram.view(RAM_BASE, wire.POOL_OFFSET)
        self.fake = FakeMonitor(np.frombuffer(view, np.uint8))
        self.dead = False
        self.host = El2Monitor(self.ram, PARAMETERS, self.alive)

    def alive(self) -> None:
        if self.dead:
            raise MachineError("QEMU ended")


PARAMETERS = BootParameters(
    ram_base=RAM_BASE,
    ram_size=RAM_SIZE,
    guest_entry=0x4800_0000,
    guest_argument=0x4A00_0000,
    gicd_base=0x800_0000,
    gicr_base=0x80A_0000,
    uart_base=0x900_0000,
    forbidden_base=0x902_0000,
    forbidden_size=4096,
    vcpus=2,
)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.fake.stop()
    world.host.close()
    world.ram.close()


def request(slot: int, ipa: int) -> ProbeRequest:
    return ProbeRequest(slot, ipa + 2**63, ipa, 0xD503201F, Plan.STEP_LINEAR, f"probe{slot}")


def test_parameters_are_where_the_declaration_says(world: World) -> None:
    """Read back as plain bytes at the offsets of spec/wire.toml."""
    raw = world.ram.read(RAM_BASE + wire.CONTROL_OFFSET, 0x68)

    values = struct.unpack("<11Q4I", raw)
    assert values == (
        *(wire.CONTROL_MAGIC, wire.ABI_HASH, RAM_BASE, RAM_SIZE, 0x4800_0000, 0x4A00_0000),
        *(0x800_0000, 0x80A_0000, 0x900_0000, 0x902_0000, 4096, 2, 0, 5000, 1000),
    )


def test_running(world: World) -> None:
    world.fake.start()
    world.host.wait_running(5)

    assert (world.host.frequency, world.host.start_ticks, world.host.user_ticks) == (
        1000,
        500,
        1500,
    )
    world.host.check()


def test_silence_is_an_error_after_the_time(world: World) -> None:
    with pytest.raises(MonitorError, match=r"did not start the guest within 0\.05 s"):
        world.host.wait_running(0.05)


def test_a_dead_machine_is_noticed_at_once(world: World) -> None:
    world.dead = True

    with pytest.raises(MachineError, match="QEMU ended"):
        world.host.wait_running(60)


@pytest.mark.parametrize("failure", [f for f in wire.Failure if f])
def test_every_failed_check_has_words(world: World, failure: wire.Failure) -> None:
    world.fake.control["failure"][0] = failure
    world.fake.start(wire.State.FAILED)

    with pytest.raises(MonitorError, match=f"self-test failed: {failure.name}: (?!unknown)"):
        world.host.wait_running(5)


def test_an_unknown_failure_and_an_unknown_state(world: World) -> None:
    world.fake.control["failure"][0] = 77
    world.fake.start(wire.State.FAILED)
    with pytest.raises(MonitorError, match="77: unknown check"):
        world.host.wait_running(5)

    world.fake.control["state"][0] = 99
    with pytest.raises(MonitorError, match="state 99"):
        world.host.check()


@pytest.mark.parametrize(("name", "words"), [("abi", "different builds"), ("magic", "damaged")])
def test_a_foreign_control_page(world: World, name: str, words: str) -> None:
    world.fake.start()
    world.fake.control[name][0] ^= np.uint64(1)

    with pytest.raises(MonitorError, match=words):
        world.host.wait_running(5)


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        (wire.State.PANIC, MonitorError, "vector 0x0, esr 0x96000004"),
        (wire.State.HOST_LOST, MonitorError, "took all probes away"),
        (wire.State.OFF, GuestError, "powered off"),
    ],
)
def test_states_that_end_a_trace(
    world: World, state: wire.State, error: type[Exception], words: str
) -> None:
    world.fake.start()
    world.fake.control["panic_esr"][0] = 0x9600_0004
    world.fake.control["state"][0] = state

    with pytest.raises(error, match=words):
        world.host.check()


def test_the_heart_beats_until_closed(world: World) -> None:
    beats = world.fake.control["heartbeat"]
    deadline = time.monotonic() + 60
    while int(beats[0]) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert int(beats[0]) >= 3

    world.host.close()

    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_arm_sends_descriptors_in_order_of_address(world: World) -> None:
    world.fake.start()
    world.host.arm([request(1, 0x4800_2000), request(2, 0x4800_1000)])

    ((opcode, bulk),) = world.fake.seen
    assert opcode == wire.Command.ARM
    assert [DESCRIPTOR.unpack_from(bulk, at) for at in (0, SIZE)] == [
        (0x4800_1000, 2**63 + 0x4800_1000, 2, 0xD503201F, 1, 0),
        (0x4800_2000, 2**63 + 0x4800_2000, 1, 0xD503201F, 1, 0),
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (wire.Status.BAD_ADDRESS, "not guest memory"),
        (wire.Status.WORD_CHANGED, "just changed the instruction"),
        (wire.Status.NO_MEMORY, "no page left"),
        (wire.Status.ALREADY_ARMED, "armed there already"),
    ],
)
def test_a_refused_probe_is_named(world: World, status: wire.Status, words: str) -> None:
    world.fake.start()
    world.fake.status, world.fake.failed_index = status, 1

    with pytest.raises(ProbeError, match=rf"no probe on probe1 \(0x[0-9a-f]+\): .*{words}"):
        world.host.arm([request(1, 0x4800_2000), request(2, 0x4800_1000)])


def test_other_refusals_name_the_command(world: World) -> None:
    world.fake.start()
    world.fake.status = wire.Status.BAD_ARGUMENT
    with pytest.raises(RefusedError, match="refused SET_FLAGS: BAD_ARGUMENT"):
        world.host.set_policy(Policy.DROP)

    world.fake.status = wire.Status(1)
    world.fake.failed_index = 5
    with pytest.raises(RefusedError, match="refused ARM: BAD_COMMAND"):
        world.host.arm([request(1, 0x4800_2000)])


def test_disarm_forgives_probes_that_are_gone(world: World) -> None:
    """The monitor names one that is not armed: the rest is tried again without it."""
    world.fake.start()
    world.fake.status, world.fake.failed_index = wire.Status.NOT_ARMED, 1

    def succeed_next_time(_: int) -> None:
        world.fake.status = wire.Status.OK

    world.fake.on_command = succeed_next_time
    assert world.host.disarm([4, 5, 6]) == (5,)

    slots = [
        [DESCRIPTOR.unpack_from(b, at)[2] for at in range(0, len(b), SIZE)]
        for _, b in world.fake.seen
    ]
    assert slots == [[4, 5, 6], [4, 6]]


def test_a_monitor_that_does_not_answer(world: World) -> None:
    world.fake.start()
    world.fake.mute = True
    world.host._mailbox._timeout = 0.05

    with pytest.raises(MonitorError, match="did not answer READ_CPU"):
        world.host.read_cpu()


def test_a_late_answer_is_not_taken_for_the_next(world: World) -> None:
    world.fake.start()
    world.fake.mute = True
    world.host._mailbox._timeout = 0.05
    with pytest.raises(MonitorError):
        world.host.read_cpu()
    world.fake.mute = False
    world.host._mailbox._timeout = 5

    world.host.disarm([3])

    assert world.fake.seen[-1][0] == wire.Command.DISARM


def test_a_panic_while_waiting(world: World) -> None:
    world.fake.mute = True
    world.fake.start(wire.State.PANIC)

    with pytest.raises(MonitorError, match="exception of its own"):
        world.host.crash()


def test_registers(world: World) -> None:
    """The fake's results are 0, 1, 2, ...: each register is its own index."""
    world.fake.start()
    cpu = world.host.read_cpu()

    assert cpu.x == tuple(range(31))
    assert (cpu.pc, cpu.pstate, cpu.ttbr1, cpu.tcr, cpu.vbar, cpu.ticks) == (31, 32, 36, 37, 39, 49)


def test_hits_of_all_vcpus(world: World) -> None:
    world.fake.start()
    assert not world.host.drain()
    for i in range(5):
        world.fake.hit(i % 2, 7, 100 + i, x0=i)

    first, second = world.host.drain().hits

    assert first["x"][:, 0].tolist() == [0, 2, 4]
    assert second["x"][:, 0].tolist() == [1, 3]
    assert not world.host.drain()


def test_counters_and_policy(world: World) -> None:
    world.fake.start()
    status = world.fake._part(wire.STATUS_OFFSET, wire.VCPU_STATUS, 2)
    status["hits"][1], status["derailed"][0] = 12, 3

    world.host.set_policy(Policy.DROP)

    assert [(c.hits, c.derailed) for c in world.host.counters()] == [(0, 3), (12, 0)]
    assert int(world.fake.control["arguments"][0, 0]) == wire.Flag.DROP_WHEN_FULL


def test_guest_memory_only(world: World) -> None:
    """The monitor's own region is not the guest's."""
    start = RAM_BASE + wire.REGION_SIZE
    world.ram.write(start, b"guest")

    assert world.host.read_physical(start, 5) == b"guest"
    for address, size in ((start - 1, 5), (RAM_BASE, 4), (RAM_BASE + RAM_SIZE - 1, 2), (0, 1)):
        with pytest.raises(MonitorError, match="is not guest memory"):
            world.host.read_physical(address, size)
