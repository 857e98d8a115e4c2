"""How many records a second the host takes in, for how long, and who waits for whom.

``python -m bench.draining`` lets a bare-metal guest do nothing but hit a probe under the policy
that loses nothing, and keeps every record in memory: 80 bytes each.
"""

import argparse
import sys
import time
from dataclasses import dataclass

from bench.bare import MonitorMachine
from bench.guests import build_payload
from stepvisor.monitor.events import HIT_DTYPE
from stepvisor.trace.collector import Collector
from stepvisor.trace.spool import Spool

__all__ = ("Drained", "measure_draining")

_ROUND = 1_000_000
_ROUTINE = "loop_move"
_MEMORY = 1 << 34
"""Bytes of records at most: more than a minute's."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What a run came to."""

    seconds: float
    hits: int
    recorded: int
    lost: int
    waiting: float
    """Seconds that the vCPU waited for room in its ring."""

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.recorded / self.seconds


def measure_draining(seconds: float) -> Drained:
    """Hits for at least `seconds`; one vCPU, and a thread of this process that drains."""
    with MonitorMachine(build_payload("loop"), drain=False) as machine, machine.awake():
        backend = machine.monitor
        backend.arm([machine.request(f"{_ROUTINE}_site")])
        collector = Collector(backend, Spool(HIT_DTYPE, memory_limit=_MEMORY))
        start = time.monotonic()
        rounds = 0
        while time.monotonic() < start + seconds:
            machine.time(_ROUTINE, _ROUND)
            rounds += 1
        elapsed = time.monotonic() - start
        collector.sync()
        collector.close()
        collector.check()
        waiting = sum(c.blocked_ticks for c in backend.counters()) / backend.frequency
        return Drained(elapsed, rounds * _ROUND, collector.total, collector.lost, waiting)


def main() -> int:
    """Measure and print; 1 when a record is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench.draining", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="default: %(default)g")
    result = measure_draining(parser.parse_args().seconds)
    sys.stdout.write(
        f"{result.recorded:,} records of {result.hits:,} hits in {result.seconds:.1f} s:"
        f" {result.rate:,.0f} a second, {result.lost} lost;"
        f" the vCPU waited for {100 * result.waiting / result.seconds:.1f} % of the time\n"
    )
    return int(result.recorded != result.hits)


if __name__ == "__main__":
    sys.exit(main())
