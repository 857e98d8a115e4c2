"""The jobs of all selected tests run in parallel; each test waits for its own."""

from collections.abc import Iterator
from typing import Any

import pytest
from builds import Builds
from jobs import Job, Jobs


@pytest.fixture(scope="session")
def jobs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Jobs]:
    """Started by the first test that wants one."""
    builds = Builds.make(tmp_path_factory.mktemp("conformance"))
    params = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = [call.params["job"] for call in params if call and "job" in call.params]
    running = Jobs(builds, [job for job in wanted if isinstance(job, Job)])
    yield running
    running.close()


@pytest.fixture
def outcome(jobs: Jobs, job: Job) -> Any:
    """What the test's job came to."""
    return jobs.result(job)
