"""Monitor events of a guest that knows all its registers: what they carry, what answers do."""

import enum
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
from bare import CPUS, BareGuest, Report
from numpy.typing import NDArray

from stepvisor import Answer, Event, GuestEvent, Outcome, View
from stepvisor.monitor.interface import Action, StepOption
from stepvisor.trace.events import Callback, Consumer, EventHub
from stepvisor.trace.troubles import Troubles

pytestmark = pytest.mark.system

VCPU = frozenset({0})
EL0_OFFSET = 0x8000_0000
PSTATE_EL1H, PSTATE_DEBUG, PSTATE_EL0 = 0x3C5, 0x1C5, 0x3C0
NOT_SUPPORTED = (1 << 64) - 1
EC_UNKNOWN, EC_HVC, EC_SMC, EC_BREAKPOINT, EC_WATCHPOINT, EC_BRK = 0, 0x16, 0x17, 0x30, 0x34, 0x3C
SYSTEM = ("sp_el0", "ttbr0", "ttbr1", "tcr", "vbar")
GENERAL = tuple(f"x{n}" for n in range(31))


class Piece(enum.IntEnum):
    """Order of `pieces` in tests/guests/events.c."""

    END = 0
    HVC = 1
    SMC = 2
    BRK = 3
    BREAKPOINT = 4
    WATCHPOINT = 5
    UNDEFINED = 6
    USER_BRK = 7
    USER_BREAKPOINT = 8
    STEPS = 9

    @property
    def at_user(self) -> bool:
        return self in {Piece.USER_BRK, Piece.USER_BREAKPOINT}


@dataclass
class Stage:
    """The guest at its checkpoint `choose`."""

    guest: BareGuest
    hub: EventHub
    troubles: Troubles
    before: Mapping[str, int] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)

    def play(self, piece: Piece) -> None:
        """Let one piece run; what was before and after it."""
        chosen = self.guest.address("chosen")
        self.guest.machine.ram.write(chosen, int(piece).to_bytes(8, "little"))
        self.guest.go()
        self.guest.ready("piece")
        self.before = self.values("before")
        self.guest.go()
        self.guest.ready("choose")
        self.after = self.values("after")

    def values(self, when: str) -> dict[str, int]:
        found = Report(self.guest.text).values
        head = f"{when}."
        return {name[len(head) :]: found[name] for name in found if name.startswith(head)}

    def answered(
        self, events: set[Event], callback: Callback | None = None, *, synchronous: bool = True
    ) -> "Answered":
        consumer = Consumer(
            frozenset(events), VCPU, callback=callback, synchronous=synchronous, timeout=20
        )
        return Answered(self.hub, consumer)


@dataclass
class Answered:
    """A consumer for as long as a block lasts."""

    hub: EventHub
    consumer: Consumer

    def __enter__(self) -> Consumer:
        self.hub.add(self.consumer)
        return self.consumer

    def __exit__(self, *_: object) -> None:
        self.hub.remove(self.consumer)


@pytest.fixture(scope="module", params=[CPUS[0], CPUS[-1]])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with BareGuest("events", cpu=request.param) as guest:
        troubles = Troubles()
        hub = EventHub(guest.monitor, troubles)
        guest.ready("choose")
        yield Stage(guest, hub, troubles)
        hub.close()
        assert troubles.all() == ()
        guest.machine.ram.write(guest.address("chosen"), bytes(8))
        guest.go()
        assert guest.finish().failures == []
        guest.assert_clean()


def one(stage: Stage, event: Event, piece: Piece, answer: Answer = Answer.CONTINUE) -> GuestEvent:
    """Play `piece` with every event of this kind answered; the only one."""
    seen: list[GuestEvent] = []

    def look(found: GuestEvent) -> Answer:
        seen.append(found)
        return answer

    with stage.answered({event}, look):
        stage.play(piece)
    assert len(seen) == 1
    return seen[0]


def word_at(stage: Stage, address: int, piece: Piece) -> int:
    physical = address - EL0_OFFSET if piece.at_user else address
    return int.from_bytes(stage.guest.monitor.read_physical(physical, 4), "little")


KINDS = [
    (Piece.HVC, Event.GUEST_REQUEST, EC_HVC, 0x123, PSTATE_EL1H),
    (Piece.SMC, Event.PRIVILEGED_CALL, EC_SMC, 0, PSTATE_EL1H),
    (Piece.BRK, Event.SOFTWARE_BREAKPOINT, EC_BRK, 0x55, PSTATE_EL1H),
    (Piece.BREAKPOINT, Event.HARDWARE_BREAKPOINT, EC_BREAKPOINT, 0x22, PSTATE_DEBUG),
    (Piece.USER_BRK, Event.SOFTWARE_BREAKPOINT, EC_BRK, 0x66, PSTATE_EL0),
    (Piece.USER_BREAKPOINT, Event.HARDWARE_BREAKPOINT, EC_BREAKPOINT, 0x22, PSTATE_EL0),
]
"""Piece, event, class and ISS of ESR_EL2, PSTATE there."""


@pytest.mark.parametrize(("piece", "kind", "ec", "iss", "pstate"), KINDS, ids=str)
def test_an_event_has_every_register(
    stage: Stage, piece: Piece, kind: Event, ec: int, iss: int, pstate: int
) -> None:
    event = one(stage, kind, piece)
    at = stage.before["at"]

    assert event.kind is kind
    assert event.x == tuple(stage.before[name] for name in GENERAL)
    assert {name: getattr(event, name) for name in SYSTEM} == {
        name: stage.before[name] for name in SYSTEM
    }
    assert piece.at_user or event.sp_el1 == stage.before["sp"]
    assert event.pstate == pstate
    assert event.pc == (at + 4 if piece is Piece.HVC else at)
    assert event.instruction_address == at
    assert event.word == word_at(stage, at, piece)
    assert (event.esr >> 26 & 63, event.esr & 0xFFFFFF) == (ec, iss)
    assert (event.vcpu, event.waits, event.far) == (0, True, 0)
    assert event.time > 0


def test_sequence_and_time_go_up(stage: Stage) -> None:
    events = [one(stage, Event.GUEST_REQUEST, Piece.HVC) for _ in range(3)]

    assert [b.sequence - a.sequence for a, b in itertools.pairwise(events)] == [1, 1]
    assert events[0].time < events[1].time < events[2].time


@pytest.mark.parametrize("watched", [False, True], ids=["unwatched", "watched"])
@pytest.mark.parametrize(
    ("piece", "vector", "ec"),
    [
        (Piece.BRK, 0x200, EC_BRK),
        (Piece.BREAKPOINT, 0x200, EC_BREAKPOINT + 1),
        (Piece.WATCHPOINT, 0x200, EC_WATCHPOINT + 1),
        (Piece.USER_BRK, 0x400, EC_BRK),
        (Piece.USER_BREAKPOINT, 0x400, EC_BREAKPOINT),
    ],
    ids=str,
)
def test_the_guest_gets_its_own_debug_exceptions(
    stage: Stage, piece: Piece, vector: int, ec: int, watched: bool
) -> None:
    """Whether somebody looks at them or not."""
    if watched:
        with stage.answered(
            {Event.SOFTWARE_BREAKPOINT, Event.HARDWARE_BREAKPOINT}, synchronous=False
        ):
            stage.play(piece)
    else:
        stage.play(piece)

    after = stage.after
    assert (after["vector"], after["pc"]) == (vector, stage.before["at"])
    assert after["esr"] >> 26 == ec
    assert [after[name] for name in GENERAL] == [stage.before[name] for name in GENERAL]
    if piece in {Piece.BRK, Piece.USER_BRK}:
        assert after["esr"] & 0xFFFF == (0x66 if piece.at_user else 0x55)


@pytest.mark.parametrize(
    ("piece", "kind"), [(Piece.HVC, Event.GUEST_REQUEST), (Piece.BRK, Event.SOFTWARE_BREAKPOINT)]
)
def test_an_answer_sets_every_register(stage: Stage, piece: Piece, kind: Event) -> None:
    stage.play(Piece.UNDEFINED)  # to know the state that all pieces start from
    known = stage.before
    wanted = {name: 0xC0DE_0000_0000_0000 | index << 8 for index, name in enumerate(GENERAL)}
    wanted |= {
        "sp_el0": 0x8877_6655_4433_2210,
        "ttbr0": known["ttbr0"] | 5 << 48,  # another ASID; all entries are global
        "ttbr1": 0x1234_5000,
        "tcr": known["tcr"] | 17 << 16,  # TTBR1 is not used
        "vbar": 0xFFFF_0000_1234_5800,  # before an exception it is set back
    }
    capture = stage.guest.address("state_capture")
    answer = Answer.CONTINUE.set(
        **wanted,
        sp_el1=known["sp"] - 64,
        pc=capture,
        pstate=0xF000_0000 | 0x0C0 | 0x9,  # EL2h is not for the guest
    )

    one(stage, kind, piece, answer)

    assert {name: stage.after[name] for name in wanted} == wanted
    assert stage.after["sp"] == known["sp"] - 64
    assert (stage.after["nzcv"], stage.after["daif"]) == (0xF000_0000, 0x0C0)
    assert stage.after["vector"] == 0


def changed(stage: Stage) -> dict[str, int]:
    return {name: stage.after[name] for name in GENERAL if stage.after[name] != stage.before[name]}


@pytest.mark.parametrize(
    ("piece", "kind", "answer", "outcome", "registers"),
    [
        (Piece.HVC, Event.GUEST_REQUEST, Answer.CONTINUE, None, {}),
        (Piece.HVC, Event.GUEST_REQUEST, Answer.SKIP, None, {}),
        (Piece.HVC, Event.GUEST_REQUEST, Answer.CONTINUE.set(x0=7), None, {"x0": 7}),
        (Piece.HVC, Event.GUEST_REQUEST, Answer.DENY, EC_UNKNOWN, {}),
        (Piece.SMC, Event.PRIVILEGED_CALL, Answer.CONTINUE, None, {"x0": NOT_SUPPORTED}),
        (Piece.SMC, Event.PRIVILEGED_CALL, Answer.DENY, None, {"x0": NOT_SUPPORTED}),
        (Piece.SMC, Event.PRIVILEGED_CALL, Answer.SKIP, None, {}),
        (Piece.SMC, Event.PRIVILEGED_CALL, Answer.SKIP.set(x1=9), None, {"x1": 9}),
        (Piece.BRK, Event.SOFTWARE_BREAKPOINT, Answer.SKIP, None, {}),
        (Piece.BRK, Event.SOFTWARE_BREAKPOINT, Answer.DENY, EC_UNKNOWN, {}),
        (Piece.BREAKPOINT, Event.HARDWARE_BREAKPOINT, Answer.SKIP, None, {}),
        (Piece.BREAKPOINT, Event.HARDWARE_BREAKPOINT, Answer.DENY, EC_UNKNOWN, {}),
    ],
)
def test_answers(
    stage: Stage,
    piece: Piece,
    kind: Event,
    answer: Answer,
    outcome: int | None,
    registers: dict[str, int],
) -> None:
    """`outcome`: None when the guest runs on, else the class of the exception that it gets."""
    one(stage, kind, piece, answer)

    if outcome is None:
        assert stage.after["vector"] == 0
    else:
        assert (stage.after["vector"], stage.after["esr"] >> 26) == (0x200, outcome)
        assert stage.after["pc"] == stage.before["at"]
    assert changed(stage) == registers


def test_nobody_listens(stage: Stage) -> None:
    """HVC is undefined then, as on a machine without EL2; nothing is recorded."""
    events = stage.guest.monitor.counters()[0].events

    stage.play(Piece.HVC)

    assert (stage.after["vector"], stage.after["esr"] >> 26) == (0x200, EC_UNKNOWN)
    assert stage.guest.monitor.counters()[0].events == events


@pytest.mark.parametrize("view", [View.PRISTINE, View.PROBED])
def test_an_answer_switches_the_view(stage: Stage, view: View) -> None:
    """In the pristine view no probe is hit."""
    with stage.guest.probing("at_steps"):
        one(stage, Event.GUEST_REQUEST, Piece.HVC, Answer.CONTINUE.switch_view(view))
        before = len(stage.guest.hits)
        stage.play(Piece.STEPS)
        hits = len(stage.guest.hits) - before
    one(stage, Event.GUEST_REQUEST, Piece.HVC, Answer.CONTINUE.switch_view(View.PROBED))

    assert hits == (view is View.PROBED)
    assert changed(stage) == {}


def steps(
    stage: Stage, piece: Piece, callback: Callback | None = None, *more: Event
) -> NDArray[np.void]:
    """Records of `piece`, stepped from its first instruction to its end."""
    monitor = stage.guest.monitor
    request = stage.guest.request
    start = replace(request(f"piece_{piece.name.lower()}", 1), action=Action.STEP_START)
    # The first leads to the second, and an exception leads there directly.
    ends = [request("state_capture", 2), request("recover", 3)]
    monitor.configure_step(StepOption.EL0)
    wanted = frozenset({Event.SINGLESTEP, *more})
    consumer = Consumer(wanted, VCPU)
    answering = Consumer(wanted, VCPU, callback=callback, synchronous=True, timeout=20)
    stage.hub.add(consumer)
    if callback is not None:
        stage.hub.add(answering)
    monitor.arm([start, *(replace(end, action=Action.STEP_STOP) for end in ends)])
    stage.play(piece)
    monitor.disarm([1, 2, 3])
    monitor.set_stepping(None, on=False)
    stage.hub.remove(answering)
    stage.hub.remove(consumer)
    return np.concatenate(list(read_all(consumer)))


def read_all(consumer: Consumer) -> Iterator[NDArray[np.void]]:
    while (records := consumer.read()) is not None:
        yield records


def test_each_step_has_every_register(stage: Stage) -> None:
    records = steps(stage, Piece.STEPS)
    stepped = records[records["outcome"] == Outcome.STEPPED]
    at = stage.before["at"]
    expected = np.array([stage.before[name] for name in GENERAL], np.uint64)

    # nop, five additions, the branch to the end
    assert stepped["instruction_address"].tolist() == [at - 4 + 4 * n for n in range(7)]
    for index, record in enumerate(stepped):
        if 1 <= index <= 5:
            expected[5 + index] += np.uint64(1)
        assert record["x"].tolist() == expected.tolist()
        assert {name: int(record[name]) for name in SYSTEM} == {
            name: stage.before[name] for name in SYSTEM
        }
        assert int(record["sp_el1"]) == stage.before["sp"]
        assert int(record["pstate"]) == PSTATE_EL1H
    assert [int(records["outcome"][index]) for index in (0, -1)] == [
        Outcome.STARTED,
        Outcome.STOPPED,
    ]


def test_steps_are_answered(stage: Stage) -> None:
    """One addition is skipped, one gets another operand, one is left to run freely."""
    stage.play(Piece.STEPS)
    at, known = stage.before["at"], stage.before

    def look(event: GuestEvent) -> Answer:
        return {
            at: Answer.SKIP,
            at + 8: Answer.CONTINUE.set(x8=100),
            at + 12: Answer.CONTINUE.stop_stepping(),
        }.get(event.pc, Answer.CONTINUE)

    records = steps(stage, Piece.STEPS, look)

    assert changed(stage) == {
        "x7": known["x7"] + 1,
        "x8": 101,
        "x9": known["x9"] + 1,
        "x10": known["x10"] + 1,
    }
    assert [int(record["pc"]) - at for record in records][:5] == [-4, 0, 8, 12, 12]


def test_a_step_is_denied(stage: Stage) -> None:
    """The guest gets an Undefined Instruction exception for the next one, and is stepped on."""
    stage.play(Piece.STEPS)
    at = stage.before["at"]

    records = steps(
        stage, Piece.STEPS, lambda e: Answer.DENY if e.pc == at + 4 else Answer.CONTINUE
    )

    assert (stage.after["vector"], stage.after["pc"]) == (0x200, at + 4)
    assert stage.after["esr"] >> 26 == EC_UNKNOWN
    assert len(records) > 50


def test_keep_stepping_from_another_event(stage: Stage) -> None:
    """A vCPU that is not stepped is, from the event's instruction on."""
    stage.guest.monitor.configure_step(StepOption.EL0)
    end = stage.guest.address("state_capture")
    seen: list[GuestEvent] = []

    def look(event: GuestEvent) -> Answer:
        seen.append(event)
        if event.kind is Event.GUEST_REQUEST:
            return Answer.CONTINUE.keep_stepping()
        return Answer.CONTINUE.stop_stepping() if event.pc == end else Answer.CONTINUE

    with stage.answered({Event.GUEST_REQUEST, Event.SINGLESTEP}, look):
        stage.play(Piece.HVC)
    at = stage.before["at"]

    assert [(e.kind, e.outcome, e.pc - at) for e in seen[:2]] == [
        (Event.GUEST_REQUEST, Outcome.STARTED, 4),
        (Event.SINGLESTEP, Outcome.STARTED, 4),
    ]
    assert [(e.outcome, e.pc) for e in seen[2:]] == [
        (Outcome.STEPPED, end),
        (Outcome.STOPPED, end),
    ]


@pytest.mark.parametrize(
    ("piece", "kind", "outcome"),
    [
        (Piece.HVC, Event.GUEST_REQUEST, Outcome.STEPPED),
        (Piece.SMC, Event.PRIVILEGED_CALL, Outcome.EMULATED),
        (Piece.BRK, Event.SOFTWARE_BREAKPOINT, Outcome.EXCEPTION),
        (Piece.BREAKPOINT, Event.HARDWARE_BREAKPOINT, Outcome.EXCEPTION),
        (Piece.WATCHPOINT, None, Outcome.EXCEPTION),
        (Piece.UNDEFINED, None, Outcome.EXCEPTION),
    ],
)
@pytest.mark.parametrize("synchronous", [False, True], ids=["async", "sync"])
def test_a_step_that_another_exit_comes_before(
    stage: Stage, piece: Piece, kind: Event | None, outcome: Outcome, synchronous: bool
) -> None:
    """The other event first, then one SINGLESTEP that says how it went on: none lost or doubled."""
    others = [] if kind is None else [kind]
    callback = (lambda _: Answer.CONTINUE) if synchronous else None
    records = steps(stage, piece, callback, *others)
    at = stage.before["at"]
    here = records[(records["instruction_address"] == at) & (records["outcome"] != Outcome.STARTED)]
    events = records[records["event"] != Event.SINGLESTEP]

    assert [(int(r["event"]), int(r["instruction_address"])) for r in events] == [
        (other, at) for other in others
    ]
    own = here[here["event"] == Event.SINGLESTEP]
    assert own["outcome"].tolist() == [outcome]
    if others:
        assert int(events["sequence"][0]) < int(own["sequence"][0])
    if outcome is Outcome.EXCEPTION:
        assert (stage.after["vector"], stage.after["pc"]) == (0x200, at)
        assert int(own["esr"][0]) == stage.after["esr"]
    else:
        assert stage.after["vector"] == 0


def test_the_answers_to_two_events_at_once(stage: Stage) -> None:
    """A BRK that is stepped, skipped by the answer to its own event: the step says so."""

    def look(event: GuestEvent) -> Answer:
        return Answer.SKIP if event.kind is Event.SOFTWARE_BREAKPOINT else Answer.CONTINUE

    records = steps(stage, Piece.BRK, look, Event.SOFTWARE_BREAKPOINT)
    own = records[
        (records["instruction_address"] == stage.before["at"])
        & (records["event"] == Event.SINGLESTEP)
    ]

    assert own["outcome"].tolist() == [Outcome.EMULATED]
    assert stage.after["vector"] == 0


def test_stepping_does_not_disturb_the_guests_breakpoints(stage: Stage) -> None:
    """Their registers, MDSCR_EL1 and the OS lock are the guest's own, stepped or not."""
    play = partial(stage.play, Piece.BREAKPOINT)
    play()
    alone = dict(stage.after)
    steps(stage, Piece.BREAKPOINT)
    stepped = dict(stage.after)
    play()

    assert alone == stepped == dict(stage.after)
