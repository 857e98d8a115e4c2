"""How much is measured: the whole table in minutes, or the ratios in seconds."""

from dataclasses import dataclass

__all__ = ("FULL", "QUICK", "Settings")


@dataclass(frozen=True, slots=True)
class Settings:
    """Rounds are interleaved repetitions of everything in a part."""

    full: bool
    """Whether all parts are measured, or those that the ratios need."""
    floor_rounds: int
    many_rounds: int
    boot_rounds: int
    """Boots of machines that are ended at once; those that are used are another round."""
    idle_rounds: int
    idle_scale: float
    """Of the idle workloads' size."""
    linux_rounds: int
    reads: int
    """Of the traced workload."""
    stub_batches: int
    rounds: int
    """Of everything else."""


FULL = Settings(
    full=True,
    floor_rounds=31,
    many_rounds=11,
    boot_rounds=3,
    idle_rounds=9,
    idle_scale=0.5,
    linux_rounds=9,
    reads=40_000,
    stub_batches=15,
    rounds=7,
)

QUICK = Settings(
    full=False,
    floor_rounds=13,
    many_rounds=7,
    boot_rounds=1,
    idle_rounds=4,
    idle_scale=0.2,
    linux_rounds=4,
    reads=20_000,
    stub_batches=4,
    rounds=3,
)
