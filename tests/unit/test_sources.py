"""The machine's own apt sources, in every form."""

from pathlib import Path

import pytest

from stepvisor.guest.sources import DebianSource, find_debian_sources, parse_deb822

MAIN = "http://mirror.example/debian"
SECURITY = "http://mirror.example/debian-security"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(directory: Path) -> list[tuple[str, bool]]:
    return [(source.uri, source.security) for source in find_debian_sources(directory)]


def test_deb822(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list.d/debian.sources",
        f"""\
Types: deb deb-src
# a comment
URIs: {MAIN}
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEYRING}

Types: deb
URIs: {SECURITY}
Suites: bookworm-security
Components:
 main
Signed-By: {KEYRING}
Check-Valid-Until: no
""",
    )

    assert find_debian_sources(tmp_path) == (
        DebianSource(MAIN, security=False, signed_by=KEYRING, check_valid_until=True),
        DebianSource(SECURITY, security=True, signed_by=KEYRING, check_valid_until=False),
    )


def test_one_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list",
        f"""\
# deb http://commented.example/debian bookworm main
deb [ arch=amd64,arm64 signed-by={KEYRING} Check-Valid-Until=no ] {MAIN} trixie main # note
deb-src {MAIN} trixie main
deb {SECURITY} bullseye/updates main contrib
deb broken
deb "unbalanced bookworm main
""",
    )

    assert find_debian_sources(tmp_path) == (
        DebianSource(MAIN, security=False, signed_by=KEYRING, check_valid_until=False),
        DebianSource(SECURITY, security=True, signed_by="", check_valid_until=True),
    )


def test_embedded_key(tmp_path: Path) -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBGPL0BUBEADmW5NdOOHwPIJlgPu6JDcKw\n"
    write(
        tmp_path,
        "sources.list.d/own.sources",
        f"Types: deb\nURIs: {MAIN}\nSuites: sid\nComponents: main\nSigned-By: {key}",
    )

    assert found(tmp_path) == []


@pytest.mark.parametrize(
    "line",
    [
        "deb https://other.example/linux/debian bookworm stable",
        "deb https://other.example/apt bookworm-pgdg main",
        "deb [signed-by=/etc/apt/keyrings/other.gpg] https://other.example/debian bookworm main",
        "deb http://archive.example/ubuntu noble main restricted",
        "deb-src http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian ./",
    ],
)
def test_archives_of_others_are_left_out(tmp_path: Path, line: str) -> None:
    write(tmp_path, "sources.list.d/other.list", f"{line}\n")

    assert found(tmp_path) == []


def test_disabled_and_repeated(tmp_path: Path) -> None:
    entry = f"Types: deb\nURIs: {MAIN}\nSuites: stable\nComponents: main\n"
    write(tmp_path, "sources.list.d/a.sources", f"Enabled: no\n{entry}")
    assert found(tmp_path) == []

    write(tmp_path, "sources.list.d/b.sources", entry)
    write(tmp_path, "sources.list.d/c.list", f"deb {MAIN} testing main\n")
    assert found(tmp_path) == [(MAIN, False)]


def test_nothing_and_rubbish(tmp_path: Path) -> None:
    assert found(tmp_path / "none") == []
    write(tmp_path, "sources.list.d/x.sources", "\x00\xff:::\n\n : \n continuation\nTypes")
    write(tmp_path, "sources.list", "[]][\ndeb [ http://x y z\n")
    assert found(tmp_path) == []


def test_deb822_paragraphs() -> None:
    text = "A: 1\nB:\n two\n three\n\n \nC: x: y\n"

    assert list(parse_deb822(text)) == [{"a": "1", "b": "\ntwo\nthree"}, {"c": "x: y"}]
