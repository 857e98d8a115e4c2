"""One store to several probed pages, not in a row: each of them runs its new code."""

import pytest
from bare import CPUS, BareGuest

pytestmark = pytest.mark.system

_PAGE = 4096
_CPU = CPUS[-1]


@pytest.mark.parametrize("pages", [(0, 2), (0, 1, 2)])
def test_each_page_that_was_written_runs_its_new_code(pages: tuple[int, ...]) -> None:
    """By SVE, and by FEAT_MOPS where the core has it."""
    with BareGuest("scatter", cpu=_CPU) as guest:
        guest.ready("started")
        start = guest.address("scatter_pages")
        guest.arm(*(start + page * _PAGE + 4 for page in pages))
        guest.go()
        report = guest.finish()

        assert report.failures == []
        assert report.values["scattered"] == 2
        assert guest.hits_of(1) == 1 + ("copied" in report.values)
        guest.assert_clean()
