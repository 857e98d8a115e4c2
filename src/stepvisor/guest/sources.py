"""Where this machine's own apt gets Debian from.

Reads /etc/apt/sources.list and sources.list.d, in both forms of sources.list(5): one-line (*.list)
and deb822 (*.sources). Only what leads to Debian's own archive is kept; which release the machine
runs does not matter, the archive has them all.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ("DebianSource", "find_debian_sources", "parse_deb822", "suites_of")

_CODENAMES: Final = ("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid")
_CLASSES: Final = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
_SUITE: Final = re.compile(r"(?P<name>[a-z]+)(?P<rest>-security|/updates|-updates|-backports|)")
_SECURITY: Final = frozenset(("-security", "/updates"))
_OPTIONS: Final = re.compile(r"\[([^\[\]]*)\]")
_BACKPORTS: Final = "-backports"
_DEBIAN_KEYRING: Final = "debian-archive"
_MAX_FILE: Final = 1 << 20


@dataclass(frozen=True)
class DebianSource:
    """An archive of Debian that the machine trusts."""

    uri: str
    security: bool
    """Whether it is the archive of security updates."""
    signed_by: str
    """Keyring file, empty for apt's own trusted keys."""
    check_valid_until: bool


def find_debian_sources(directory: Path) -> tuple[DebianSource, ...]:
    """Return the Debian archives named in an apt configuration directory, each once."""
    found: dict[tuple[str, bool], DebianSource] = {}
    for path in _files(directory):
        text = _read(path)
        entries = _deb822(text) if path.suffix == ".sources" else _one_line(text)
        for source in _debian(entries):
            found.setdefault((source.uri, source.security), source)
    return tuple(found.values())


def parse_deb822(text: str) -> Iterator[Mapping[str, str]]:
    """Paragraphs of a deb822 file; keys in lower case, continuation lines joined by newlines."""
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, list[str]] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and key:
                fields[key].append(line.strip())
            elif ":" in line:
                name, _, value = line.partition(":")
                key = name.strip().lower()
                fields[key] = [value.strip()]
        if fields:
            yield {name: "\n".join(lines) for name, lines in fields.items()}


def suites_of(suite: str) -> tuple[str, ...]:
    """Return the suites that `suite` needs, itself last: backports stand on their release."""
    base = suite.removesuffix(_BACKPORTS)
    return (suite,) if base == suite else (base, suite)


def _files(directory: Path) -> list[Path]:
    parts = directory / "sources.list.d"
    found = [directory / "sources.list"]
    for pattern in ("*.list", "*.sources"):
        found += sorted(parts.glob(pattern))
    return [path for path in found if path.is_file()]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""  # apt itself could not use it either


def _deb822(text: str) -> Iterator[Mapping[str, str]]:
    for fields in parse_deb822(text):
        if fields.get("enabled", "yes").lower() not in {"no", "false", "0"}:
            yield fields


def _one_line(text: str) -> Iterator[Mapping[str, str]]:
    """The one-line form as the deb822 fields that it stands for."""
    for line in text.splitlines():
        options = _OPTIONS.search(line)
        try:
            words = shlex.split(_OPTIONS.sub(" ", line, count=1), comments=True)
        except ValueError:
            continue
        if len(words) < 4:
            continue
        pairs = (word.partition("=") for word in (options[1].split() if options else ()))
        kind, uri, suite, *components = words
        yield {
            **{key.lower(): value.replace(",", " ") for key, _, value in pairs},
            "types": kind,
            "uris": uri,
            "suites": suite,
            "components": " ".join(components),
        }


def _debian(entries: Iterable[Mapping[str, str]]) -> Iterator[DebianSource]:
    for fields in entries:
        signed_by = fields.get("signed-by", "")
        if signed_by and _DEBIAN_KEYRING not in signed_by:
            continue  # somebody else's archive
        if "deb" not in fields.get("types", "").split():
            continue
        if "main" not in fields.get("components", "").split():
            continue
        matches = [_SUITE.fullmatch(suite) for suite in fields.get("suites", "").split()]
        for match in matches:
            if match is None or match["name"] not in (*_CODENAMES, *_CLASSES):
                continue
            for uri in fields.get("uris", "").split():
                yield DebianSource(
                    uri,
                    match["rest"] in _SECURITY,
                    signed_by,
                    fields.get("check-valid-until", "yes").lower() not in {"no", "false", "0"},
                )
