"""Debian packages through the machine's own apt, in a private corner.

apt runs with a configuration of its own in a temporary directory: lists, cache, status and sources
are all there, so the system's apt and dpkg neither change nor notice, no foreign architecture is
added, and no root is needed. Mirrors, proxies and keys are the machine's. apt checks signatures and
hashes.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from stepvisor.errors import SetupError
from stepvisor.guest.sources import DebianSource, find_debian_sources, suites_of

__all__ = ("AptArchive",)

_CONFIGURATION: Final = Path("/etc/apt")
_TIMEOUT: Final = 900
_GUEST: Final = "arm64"
_DEPENDS: Final = re.compile(r"^[ |]*Depends: (?P<package>[a-z0-9][a-z0-9+.-]*)$", re.MULTILINE)
# Settings of the machine that decide how archives are reached (proxies, certificates, time-outs).
_TRANSPORT: Final = re.compile(r'Acquire::(?:https?|ftp|tor)::[^ ]+ ".*";', re.IGNORECASE)


class AptArchive:
    """One Debian release, as the machine's apt sees it.

    :raise SetupError: When apt is missing, the machine's sources name no Debian archive, or the
        release cannot be reached.
    """

    def __init__(
        self,
        suite: str,
        directory: Path,
        configuration: Path = _CONFIGURATION,
        architecture: str = _GUEST,
    ) -> None:
        """:param suite: With what it is built upon; of two versions its own counts.
        :param directory: Empty, private; everything that apt writes goes there.
        :param architecture: Debian's name of the packages' architecture.
        """
        self._directory = directory
        self._suite = suite
        self._architecture = architecture
        self._programs = {name: _program(name) for name in ("apt-get", "apt-cache", "apt-config")}
        sources = find_debian_sources(configuration)
        if not any(not source.security for source in sources):
            raise SetupError(f"the apt sources in {configuration} name no archive of Debian")
        self._configure(sources)
        self._complaint = self._update()

    def depends(self, package: str) -> tuple[str, ...]:
        """Return the packages that `package` depends on; none when it does not exist."""
        done = self._run("apt-cache", "depends", "--important", package)
        return tuple(match["package"] for match in _DEPENDS.finditer(done.stdout))

    def download(self, package: str) -> Path:
        """Download `package`, verified, and return the .deb.

        :raise SetupError: When it does not exist or cannot be downloaded.
        """
        target = self._directory / "download"
        target.mkdir(exist_ok=True)
        before = set(target.iterdir())
        done = self._run("apt-get", "download", package, cwd=target)
        new = [path for path in target.iterdir() if path not in before and path.suffix == ".deb"]
        if done.returncode or len(new) != 1:
            raise SetupError(f"apt cannot download {package}: {self.explain(done.stderr)}")
        return new[0]

    def download_with_dependencies(self, package: str) -> tuple[Path, ...]:
        """Download `package` and everything that it needs to run, down to the C library.

        :raise SetupError: When something of it does not exist or cannot be downloaded.
        """
        flags = ("--yes", "--download-only", "--no-install-recommends")
        done = self._run("apt-get", "install", *flags, package)
        found = tuple(sorted((self._directory / "cache/archives").glob("*.deb")))
        if done.returncode or not found:
            raise SetupError(f"apt cannot download {package}: {self.explain(done.stderr)}")
        return found

    def explain(self, words: str = "") -> str:
        """Return the first complaint in what apt said, now or while it updated."""
        lines = (words + "\n" + self._complaint).splitlines()
        errors = [line for line in lines if line.startswith("E:")]
        warnings = [line for line in lines if line.startswith("W:")]
        return (errors or warnings or ["E: nothing"])[0][2:].strip()

    def _configure(self, sources: Iterable[DebianSource]) -> None:
        base = self._directory
        for name in ("state/lists/partial", "cache/archives/partial"):
            (base / name).mkdir(parents=True)
        (base / "status").touch()
        lines = [line for source in sources for line in self._source_lines(source)]
        (base / "sources.list").write_text("\n".join(lines) + "\n")
        settings = {
            "APT::Architecture": self._architecture,
            "APT::Default-Release": self._suite,
            "Dir::State": base / "state",
            "Dir::State::Lists": base / "state/lists",
            "Dir::State::status": base / "status",
            "Dir::Cache": base / "cache",
            "Dir::Etc::SourceList": base / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            # The machine's hooks and preferences are for its own packages.
            "Dir::Etc::Main": "/dev/null",
            "Dir::Etc::Parts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::Log": base,
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            # As root apt would drop to a user that cannot enter a private directory.
            "APT::Sandbox::User": "root",
        }
        text = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        text += f'APT::Architectures {{ "{self._architecture}"; }};\n'
        (base / "apt.conf").write_text(text + self._transport())

    def _source_lines(self, source: DebianSource) -> Iterator[str]:
        options = [f"arch={self._architecture}"]
        # A key written out in the file (deb822) has lines; the machine's keyring has it too.
        if source.signed_by and "\n" not in source.signed_by:
            options.append(f"signed-by={','.join(source.signed_by.split())}")
        if not source.check_valid_until:
            options.append("check-valid-until=no")
        base, *further = suites_of(self._suite)
        names = (f"{base}-security",) if source.security else (base, *further)
        for name in names:
            yield f"deb [{' '.join(options)}] {source.uri} {name} main"

    def _transport(self) -> str:
        done = self._run("apt-config", "dump", own_configuration=False)
        return "".join(
            f"{line}\n" for line in done.stdout.splitlines() if _TRANSPORT.fullmatch(line)
        )

    def _update(self) -> str:
        """Fetch the package lists.

        A part that fails (an expired security archive, say) is left out by apt itself, so what
        it said matters only when a package is then missing.
        """
        return self._run("apt-get", "update", "-q").stderr

    def _run(
        self, name: str, *arguments: str, cwd: Path | None = None, own_configuration: bool = True
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        if own_configuration:
            environment["APT_CONFIG"] = str(self._directory / "apt.conf")
        try:
            return subprocess.run(
                [self._programs[name], *arguments],
                cwd=cwd or self._directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SetupError(f"{name} did not end within {_TIMEOUT} seconds") from error
        except OSError as error:
            raise SetupError(f"{name} cannot be run ({error.strerror})") from error


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise SetupError(f"there is no {name} on this machine")
    return found
