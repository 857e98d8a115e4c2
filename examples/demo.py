"""Trace a Debian kernel's vfs_read while the kernel hashes its own code.

Boots the default guest with two vCPUs, runs dd, and shows the promises that matter: as many hits as
dd did reads, none lost, and not one byte of the guest's code changed while it was probed.
"""

import itertools
import struct
import sys

import stepvisor
from stepvisor.views import text

READS = 20_000
PAGE = 4096
SHOWN = 8
ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
PT_LOAD = 1


def guest_bytes(guest: stepvisor.Guest, path: str, size: int) -> bytes:
    """The first bytes of a file in the guest, through its console."""
    return bytes.fromhex(guest.run(f"od -A n -v -t x1 -N {size} {path}").output)


def kcore_offset(guest: stepvisor.Guest, physical: int) -> int:
    """Where /proc/kcore, the kernel's memory as an ELF file, has a physical address."""
    header = ELF_HEADER.unpack(guest_bytes(guest, "/proc/kcore", ELF_HEADER.size))
    table, count = header[5], header[10]
    data = guest_bytes(guest, "/proc/kcore", table + count * PROGRAM_HEADER.size)
    for number in range(count):
        fields = PROGRAM_HEADER.unpack_from(data, table + number * PROGRAM_HEADER.size)
        kind, _, offset, _, start, size, *_ = fields
        if kind == PT_LOAD and start <= physical < start + size:
            return int(offset + physical - start)
    raise SystemExit("the guest's /proc/kcore does not show its own code")


def text_digest(guest: stepvisor.Guest) -> str:
    """SHA-256 of the kernel's whole code, computed by the guest itself."""
    code = guest.symbols.text
    skip = kcore_offset(guest, guest.physical(code.start)) // PAGE
    count = len(code) // PAGE
    read = f"dd if=/proc/kcore bs={PAGE} skip={skip} count={count} 2>/dev/null"
    return guest.run(f"{read} | sha256sum").output.split()[0]


def main() -> int:
    """Run the demonstration; 0 when everything is as promised."""
    with stepvisor.boot(cpus=2) as guest:
        guest.wait_ready()
        print(f"{guest.run('uname -srm').output.strip()}, 2 vCPUs, booted under the monitor")
        print(f"user space after {guest.boot_seconds:.1f} s")
        before = text_digest(guest)
        print(f"the guest's own hash of its code: {before[:32]}...")

        command = f"dd if=/dev/zero of=/dev/null bs=1 count={READS}"
        print(f"\n$ stepvisor trace -e vfs_read --run '{command}'")
        with guest.trace("vfs_read") as trace:
            guest.run(command)
            during = text_digest(guest)
            reads = sum(counter.data_reads + counter.data_steps for counter in guest.counters())
        batches = list(trace.batches())
        summary = trace.summary()

    print(text.HEADER, end="")
    single = [hit for hit in itertools.chain(*batches) if hit.regs.x2 == 1]
    for hit in single[:SHOWN]:
        print(hit)
    print("...")
    print(text.format_summary(summary), end="")
    unchanged = before == during
    print(f"the guest read its probed code {reads:,} times meanwhile, and hashed {during[:32]}...")
    print(
        f"\nreads of one byte: {len(single):,} hits, {summary.lost:,} lost;"
        f" guest text {'unchanged' if unchanged else 'CHANGED'}"
    )
    return 0 if unchanged and len(single) == READS and not summary.lost and reads else 1


if __name__ == "__main__":
    sys.exit(main())
