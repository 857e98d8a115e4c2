"""A Python function that answers every event while its vCPU waits."""

from bench.bare import MonitorMachine
from bench.guests import build_payload
from bench.sampling import Sample
from stepvisor.monitor.answers import Answer
from stepvisor.monitor.guest_event import GuestEvent
from stepvisor.monitor.vocabulary import Event
from stepvisor.trace.events import Consumer, EventHub
from stepvisor.trace.troubles import Troubles

__all__ = ("measure_callback",)

_CALLS = 1000


def measure_callback(rounds: int) -> Sample:
    """Seconds from a guest's HVC to the instruction after it, a Python callback in between."""
    calls = 0

    def answer(event: GuestEvent) -> Answer:
        nonlocal calls
        calls += event.kind is Event.GUEST_REQUEST
        return Answer.CONTINUE

    with MonitorMachine(build_payload("loop"), drain=False) as machine, machine.awake():
        hub = EventHub(machine.monitor, Troubles())
        consumer = Consumer(
            frozenset({Event.GUEST_REQUEST}), frozenset({0}), callback=answer, synchronous=True
        )
        hub.add(consumer)
        machine.time("loop_hvc", _CALLS)
        values = tuple(machine.time("loop_hvc", _CALLS) / _CALLS for _ in range(rounds))
        hub.remove(consumer)
    assert calls == _CALLS * (rounds + 1), calls
    return Sample(values)
