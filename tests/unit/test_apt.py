"""The private apt, against programs that stand in for it. tests/system uses the real one."""

import re
import stat
from pathlib import Path

import pytest

from stepvisor.errors import SetupError
from stepvisor.guest.apt import AptArchive

SOURCES = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""

APT_GET = """\
echo "apt-get $*" >> "$LOG"
if [ "$1" = update ]; then echo "E: The repository is expired" >&2; exit 100; fi
if [ "$1" = install ]; then
    for last; do :; done
    [ "$last" = good ] || { echo "E: Unable to locate package $last" >&2; exit 100; }
    base=$(dirname "$APT_CONFIG")
    echo data > "$base/cache/archives/good.deb"; echo data > "$base/cache/archives/libc.deb"
    exit 0
fi
case "$2" in
good) echo data > good_1.0_arm64.deb;;
*) echo "W: some warning" >&2; echo "E: Unable to locate package $2" >&2; exit 100;;
esac
"""

APT_CACHE = """\
echo "apt-cache $*" >> "$LOG"
cat <<END
linux-image-arm64
  PreDepends: linux-base
  Depends: linux-image-6.99-arm64
 |Depends: one
  Depends: <virtual>
    two
END
"""

APT_CONFIG = """\
cat <<'END'
APT::Architecture "amd64";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::CaInfo "/etc/ssl/own.pem";
Acquire::Languages:: "de";
Acquire::IndexTargets::deb::Contents-deb "";
Dir::Cache "/var/cache/apt";
END
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name, script in (
        ("apt-get", APT_GET),
        ("apt-cache", APT_CACHE),
        ("apt-config", APT_CONFIG),
    ):
        path = directory / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/sources.list.d").mkdir()
    (tmp_path / "etc/sources.list.d/debian.sources").write_text(SOURCES)
    (tmp_path / "work").mkdir()
    return tmp_path


def archive(programs: Path) -> AptArchive:
    return AptArchive("trixie", programs / "work", programs / "etc")


def test_configuration_is_private(programs: Path) -> None:
    archive(programs)
    text = (programs / "work/apt.conf").read_text()
    paths = re.findall(r'^Dir::[^ ]+ "([^"]*)";', text, re.MULTILINE)

    assert paths
    assert all(path.startswith((str(programs / "work"), "/dev/null")) for path in paths)
    for key in ("Main", "Parts", "SourceParts", "Preferences", "PreferencesParts"):
        assert f'Dir::Etc::{key} "/dev/null";' in text
    assert 'APT::Architecture "arm64";' in text
    assert 'Acquire::http::Proxy "http://proxy.example:3128";' in text
    assert 'Acquire::https::CaInfo "/etc/ssl/own.pem";' in text
    assert "IndexTargets" not in text
    assert (programs / "work/sources.list").read_text() == (
        "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://mirror.example/debian trixie main\n"
        "deb [arch=arm64] http://mirror.example/debian-security trixie-security main\n"
    )


def test_another_architecture(programs: Path) -> None:
    AptArchive("trixie", programs / "work", programs / "etc", "armhf")

    assert 'APT::Architecture "armhf";' in (programs / "work/apt.conf").read_text()
    assert "deb [arch=armhf] " in (programs / "work/sources.list").read_text()


def test_depends(programs: Path) -> None:
    assert archive(programs).depends("linux-image-arm64") == ("linux-image-6.99-arm64", "one")


def test_download(programs: Path) -> None:
    path = archive(programs).download("good")

    assert path.name == "good_1.0_arm64.deb"
    assert (programs / "log").read_text() == "apt-get update -q\napt-get download good\n"


def test_what_apt_said_is_passed_on(programs: Path) -> None:
    with pytest.raises(SetupError, match="cannot download bad: Unable to locate package bad"):
        archive(programs).download("bad")


def test_what_apt_said_while_updating_is_kept(programs: Path) -> None:
    assert archive(programs).explain() == "The repository is expired"


def test_no_apt(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(programs))

    with pytest.raises(SetupError, match="there is no apt-get on this machine"):
        archive(programs)


def test_no_debian_in_the_sources(programs: Path) -> None:
    (programs / "etc/sources.list.d/debian.sources").write_text(
        SOURCES.replace("bookworm", "noble")
    )

    with pytest.raises(SetupError, match="name no archive of Debian"):
        archive(programs)


def test_backports_stand_on_their_release(programs: Path) -> None:
    work = programs / "work"
    AptArchive("trixie-backports", work, programs / "etc", architecture="amd64")

    assert (work / "sources.list").read_text() == (
        "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://mirror.example/debian trixie main\n"
        "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://mirror.example/debian trixie-backports main\n"
        "deb [arch=amd64] http://mirror.example/debian-security trixie-security main\n"
    )
    # Without it apt takes the release's own version before that of its backports.
    assert 'APT::Default-Release "trixie-backports";' in (work / "apt.conf").read_text()
    assert 'APT::Architecture "amd64";' in (work / "apt.conf").read_text()


def test_download_with_dependencies(programs: Path) -> None:
    found = archive(programs).download_with_dependencies("good")

    assert [path.name for path in found] == ["good.deb", "libc.deb"]
    with pytest.raises(SetupError, match="cannot download bad: Unable to locate package bad"):
        archive_again(programs).download_with_dependencies("bad")


def archive_again(programs: Path) -> AptArchive:
    (programs / "again").mkdir()
    return AptArchive("trixie", programs / "again", programs / "etc")
