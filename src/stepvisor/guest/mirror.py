"""Debian packages for arm64 over HTTPS, where there is no apt.

The chain is that of apt: the archive's `InRelease` is signed by a key of Debian's, it holds the
SHA-256 of the package list, and that the SHA-256 of every package. gpgv checks the signature. Where
gpgv or Debian's keyring is missing, nothing is downloaded unless the user says in so many words
that the mirror is to be trusted (then TLS is the only proof).
"""

import hashlib
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from stepvisor.errors import ArchiveError, InputError, SetupError
from stepvisor.guest.compression import decompress
from stepvisor.guest.sources import parse_deb822, suites_of

__all__ = ("Download", "MirrorArchive", "download_https")

Download = Callable[[str, int], bytes]
"""`download(url, limit)` gives what is there, at most `limit` bytes, or raises SetupError."""

_TIMEOUT: Final = 60
_CHUNK: Final = 1 << 20
_MAX_RELEASE: Final = 4 << 20
_MAX_PACKAGES: Final = 64 << 20
_MAX_LIST: Final = 256 << 20
_MAX_WANTED: Final = 16 << 20
_WANTED: Final = re.compile(
    rb"^Package: (?:linux-|busybox-static)[^\n]*(?:\n[^\n]+)*", re.MULTILINE
)
_MAX_PACKAGE: Final = 512 << 20
_LIST: Final = "main/binary-arm64/Packages.xz"
_KEYRINGS: Final = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/local/share/keyrings/debian-archive-keyring.gpg",
)
_CLEARSIGN_BEGIN: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
_CLEARSIGN_END: Final = "-----BEGIN PGP SIGNATURE-----"


class MirrorArchive:
    """One Debian release on a mirror, with the release that it is built upon.

    :raise SetupError: When the mirror cannot be reached or its signature cannot be checked.
    :raise ArchiveError: When what it sends is not signed, not whole, or not that release.
    """

    def __init__(
        self,
        url: str,
        suite: str,
        directory: Path,
        *,
        keyring: Path | None = None,
        trust: bool = False,
        download: Download | None = None,
    ) -> None:
        """:param url: Base of the archive: the directory that has `dists` and `pool`.
        :param directory: Private; packages are stored there.
        :param keyring: Debian's archive keyring, in binary form; found by itself when None.
        :param trust: Take the mirror's word where the signature cannot be checked.
        """
        self._url = _checked(url)
        self._suite = suite
        self._directory = directory
        self._download = download or download_https
        self._packages: dict[str, Mapping[str, str]] = {}
        for name in suites_of(suite):
            signed = self._download(f"{self._url}/dists/{name}/InRelease", _MAX_RELEASE)
            release = _verified(signed, directory, keyring, trust=trust)
            self._packages |= self._read_list(name, _list_hash(release, name))

    def depends(self, package: str) -> tuple[str, ...]:
        """Return the packages that `package` depends on; none when it does not exist."""
        fields = self._packages.get(package, {})
        clauses = f"{fields.get('pre-depends', '')},{fields.get('depends', '')}".split(",")
        names = (clause.split("|")[0].split("(")[0].split(":")[0].strip() for clause in clauses)
        return tuple(name for name in names if name)

    def download(self, package: str) -> Path:
        """Download `package`, check its hash, and return the .deb.

        :raise SetupError: When it does not exist or cannot be downloaded.
        :raise ArchiveError: When it is not what the package list says.
        """
        fields = self._packages.get(package)
        if fields is None:
            raise SetupError(
                f"mirror {self._url}: {self._suite} has no package {package} for arm64"
            )
        path = fields.get("filename", "")
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise ArchiveError(f"mirror {self._url}: {package} has an impossible path {path!r}")
        data = self._download(f"{self._url}/{urllib.parse.quote(path)}", _MAX_PACKAGE)
        _check_hash(data, fields.get("sha256", ""), path)
        target = self._directory / f"{package}.deb"
        target.write_bytes(data)
        return target

    def explain(self, words: str = "") -> str:
        """Say where was looked."""
        return words or f"{self._url} has no such package in {self._suite}"

    def _read_list(self, suite: str, expected: str) -> dict[str, Mapping[str, str]]:
        path = f"dists/{suite}/{_LIST}"
        data = self._download(f"{self._url}/{path}", _MAX_PACKAGES)
        _check_hash(data, expected, path)
        wanted = bytearray()
        for match in _WANTED.finditer(decompress(data, limit=_MAX_LIST)):
            wanted += match.group() + b"\n\n"
            if len(wanted) > _MAX_WANTED:
                raise ArchiveError(f"{path}: says too much about kernels: refused")
        text = wanted.decode("utf-8", "replace")
        return {fields.get("package", ""): fields for fields in parse_deb822(text)}


def download_https(url: str, limit: int) -> bytes:
    """Return what is at an HTTPS address, redirections (to HTTPS only) followed.

    :raise SetupError: When it cannot be had or is larger than `limit` bytes.
    """
    opener = urllib.request.build_opener(_HttpsOnly)
    request = urllib.request.Request(url, headers={"User-Agent": "stepvisor"})  # noqa: S310 - the scheme was checked
    out = bytearray()
    try:
        with opener.open(request, timeout=_TIMEOUT) as response:
            while chunk := response.read(_CHUNK):
                out += chunk
                if len(out) > limit:
                    raise SetupError(f"{url} is larger than {limit >> 20} MiB: refused")
    except urllib.error.HTTPError as error:
        raise SetupError(
            f"{url}: {error.code} {error.reason}: is the mirror's address the directory that has "
            "'dists' and 'pool'?"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise SetupError(f"{url} cannot be downloaded ({reason})") from error
    return bytes(out)


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> urllib.request.Request | None:
        target = str(arguments[-1])
        if not target.startswith("https://"):
            raise SetupError(f"the mirror redirects to {target}, which is not HTTPS: refused")
        return super().redirect_request(*arguments)  # type: ignore[arg-type]  # passed on as they came


def _checked(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.netloc:
        raise InputError(f"mirror {url!r}: give an https:// address")
    if parts.query or parts.fragment:
        raise InputError(f"mirror {url!r}: give the archive's directory, without ? and #")
    return url.rstrip("/")


def _check_hash(data: bytes, expected: str, path: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected.lower():
        raise ArchiveError(
            f"{path}: SHA-256 is {found}, the archive says {expected or 'nothing'}: try again "
            "later or use another mirror"
        )


def _verified(signed: bytes, directory: Path, keyring: Path | None, *, trust: bool) -> str:
    """The text of an InRelease file, signature checked."""
    gpgv = shutil.which("gpgv")
    ring = keyring or next((Path(name) for name in _KEYRINGS if Path(name).is_file()), None)
    if keyring is not None and not keyring.is_file():
        raise InputError(f"keyring {keyring}: no such file")
    if gpgv is None or ring is None:
        if trust:
            return _unsigned(signed)
        missing = "the program gpgv" if gpgv is None else "Debian's archive keyring"
        raise SetupError(
            f"the mirror's signature cannot be checked: {missing} is missing. Install the package "
            f"{'gpgv' if gpgv is None else 'debian-archive-keyring'}, or give --keyring FILE, or "
            "--trust-mirror to rely on the mirror's TLS certificate alone"
        )
    source, plain = directory / "InRelease", directory / "Release"
    source.write_bytes(signed)
    try:
        done = subprocess.run(
            [gpgv, "--quiet", "--keyring", str(ring.resolve()), "--output", plain, source],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"gpgv cannot check the mirror's signature ({error})") from error
    if done.returncode or not plain.is_file():
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ArchiveError(
            f"the mirror's signature is not good ({words[-1] if words else 'gpgv failed'}): "
            "nothing was taken from it"
        )
    return plain.read_text("utf-8", "replace")


def _unsigned(signed: bytes) -> str:
    """The text of an InRelease file, its signature cut off unseen."""
    text = signed.decode("utf-8", "replace")
    head, _, rest = text.partition(_CLEARSIGN_BEGIN)
    body, end, _ = rest.partition(_CLEARSIGN_END)
    if head.strip() or not end:
        raise ArchiveError("the mirror's InRelease file is not a signed message")
    return body.partition("\n\n")[2]


def _list_hash(release: str, suite: str) -> str:
    """SHA-256 of the package list, from a Release file of the right name and date."""
    fields = next(parse_deb822(release), {})
    if fields.get("codename") != suite:
        raise ArchiveError(f"the mirror sent {fields.get('codename')!r} as release {suite!r}")
    if (until := fields.get("valid-until")) is not None:
        try:
            expired = parsedate_to_datetime(until) < datetime.now(UTC)
        except (TypeError, ValueError) as error:
            raise ArchiveError(f"the mirror's release has an impossible date {until!r}") from error
        if expired:
            raise ArchiveError(f"the mirror is out of date: it was valid until {until}")
    for line in fields.get("sha256", "").splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[2] == _LIST:
            return parts[0]
    raise ArchiveError(f"the mirror's release {suite!r} lists no {_LIST}")
