"""The fuzzing guest sees rules of the monitor broken: one mutant each."""

from collections.abc import Mapping

import pytest
from builds import Builds

from fuzz.case import Case, Way
from fuzz.compare import check

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

CPU = "cortex-a57"

MUTANTS: Mapping[str, tuple[str, str, str, Way, int]] = {
    "a shadow stays as it was after a write": (
        "step.c",
        "		shadow_refresh(v, v->step.dirty[i]);",
        "		(void)pages;",
        Way.STIRRED,
        1,
    ),
    "a displaced branch is not followed": (
        "emulate.c",
        "	v->frame.pc = branch_is_taken(v, slot) ? v->frame.pc + slot->immediate : next;",
        "	v->frame.pc = next;",
        Way.PROBED,
        2,
    ),
    "a load of a big-endian guest is done in the other order": (
        "abort.c",
        "	       guest_access_is_plain(v->frame.pstate, address, size) &&\n",
        "	       address % size == 0 && !(v->frame.pstate & SPSR_ELx_nRW) &&\n",
        Way.PROBED,
        2,
    ),
    "one of a thousand hits leaves no record": (
        "smc.c",
        "		ring_put_hit(v, index);",
        "		if (v->status->hits % 1024)\n			ring_put_hit(v, index);",
        Way.PROBED,
        1,
    ),
}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    return Builds.make(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("rule", MUTANTS)
def test_mutant_is_seen(builds: Builds, rule: str) -> None:
    file, old, new, way, seed = MUTANTS[rule]
    monitor = builds.mutate(rule.replace(" ", "-"), {file: (old, new)})

    assert check(Case(seed, CPU, 1, 6000, way), monitor, narrow=False) is not None
