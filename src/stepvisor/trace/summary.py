"""What came of a trace, and whether it saw all that it was to see."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stepvisor.monitor.events import Notice, ProbeChanged, ProbeGone
from stepvisor.probe.many import Refused

__all__ = ("Fates", "Summary")

_OVERWRITTEN = "the guest overwrote its instruction"
_GONE = "the module that it was in is gone"


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a trace."""

    hits: dict[str, int]
    """Per probe, in the order of arming."""
    lost: int
    """Hits that a full ring dropped, as counted in the stream."""
    seconds: float
    """Guest time while the probes were armed."""
    derailed: int
    """Steps that ended in an interrupt vector."""
    astray: int
    """Steps that ended where their instruction cannot lead."""
    missing: dict[str, int] = field(default_factory=dict)
    """Hits at which the guest had no memory for a captured value, by its expression; none that was
    always there."""
    replanned: dict[str, int] = field(default_factory=dict)
    """Probes that stayed while the guest replaced their instruction, and how often it did."""
    ended: dict[str, str] = field(default_factory=dict)
    """Probes that the trace outlived, and why they ended."""
    refused: tuple[Refused, ...] = ()
    """Places that a pattern named where no probe went, and why."""

    @property
    def total(self) -> int:
        """Hits of all probes."""
        return sum(self.hits.values())

    @property
    def complete(self) -> bool:
        """Whether no hit is missing: nothing lost, no probe ended, none left out that may be hit.

        A probe that was replanned has missed nothing.
        """
        left_out = any(refused.may_run for refused in self.refused)
        return not (self.lost or self.ended or left_out)


class Fates:
    """What the guest did to the instructions under some probes."""

    def __init__(self, labels: Mapping[int, str]) -> None:
        """`labels` are the probes' names by slot."""
        self._labels = labels
        self._replanned: dict[int, int] = {}
        self._ended: dict[int, str] = {}

    def note(self, notice: Notice) -> None:
        """Take in what the backend says of one of them; whatever else it says is not looked at."""
        slot = notice.slot
        if isinstance(notice, ProbeChanged) and notice.kept:
            self._replanned[slot] = self._replanned.get(slot, 0) + 1
        elif isinstance(notice, ProbeChanged):
            words = f"{notice.new:#010x} over {notice.old:#010x}"
            self._ended[slot] = f"{_OVERWRITTEN}: {words}"
        elif isinstance(notice, ProbeGone):
            self._ended[slot] = _GONE

    def note_gone(self, slots: tuple[int, ...]) -> None:
        """Take in what was not armed any more: a full ring may have dropped the notice of it."""
        for slot in slots:
            self._ended.setdefault(slot, _OVERWRITTEN)

    @property
    def replanned(self) -> dict[str, int]:
        """How often the guest replaced an instruction while its probe stayed, by probe."""
        return {
            name: self._replanned[s] for s, name in self._labels.items() if s in self._replanned
        }

    @property
    def ended(self) -> dict[str, str]:
        """Why a probe ended, by probe."""
        return {
            name: self._ended[slot] for slot, name in self._labels.items() if slot in self._ended
        }
