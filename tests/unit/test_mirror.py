"""The chain of signatures and hashes of a mirror, with a key and an archive made here."""

import hashlib
import lzma
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from fake_packages import busybox_deb, kernel_deb

from stepvisor.errors import ArchiveError, InputError, SetupError
from stepvisor.guest import mirror
from stepvisor.guest.mirror import MirrorArchive

URL = "https://mirror.example/debian"
LIST = "main/binary-arm64/Packages.xz"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_archive(**changes: str) -> dict[str, bytes]:
    """Files of an archive by path, the Release not signed yet."""
    kernel, busybox = kernel_deb(), busybox_deb()
    packages = f"""\
Package: linux-image-cloud-arm64
Depends: linux-image-6.99-cloud-arm64 (= 6.99-1), other | alternative
Filename: pool/meta.deb
SHA256: {sha256(b"")}

Package: linux-image-6.99-cloud-arm64
Filename: pool/main/l/linux-image-6.99%2b_1_arm64.deb
Size: {len(kernel)}
SHA256: {sha256(kernel)}

Package: zlib
Filename: pool/zlib.deb

Package: busybox-static
Filename: pool/busybox.deb
SHA256: {sha256(busybox)}

Package: linux-evil
Filename: ../../etc/passwd
SHA256: {sha256(b"")}
"""
    index = lzma.compress(packages.encode())
    fields = {
        "Codename": "trixie",
        "Valid-Until": format_datetime(datetime.now(UTC) + timedelta(days=1)),
        "SHA256": f"\n {'0' * 64} 7 main/other\n {sha256(index)} {len(index)} {LIST}",
        **changes,
    }
    release = "".join(f"{key}: {value}\n" for key, value in fields.items())
    return {
        "Release": release.encode(),
        f"dists/trixie/{LIST}": index,
        "pool/main/l/linux-image-6.99%252b_1_arm64.deb": kernel,
        "pool/busybox.deb": busybox,
    }


class Server:
    """Stands in for the download function."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []

    def __call__(self, url: str, limit: int) -> bytes:
        path = url.removeprefix(f"{URL}/")
        self.asked.append(path)
        if path not in self.files:
            raise SetupError(f"{url}: 404")
        assert len(self.files[path]) <= limit
        return self.files[path]


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GnuPG home with a key, and its public half as keyring.gpg."""
    if missing := [name for name in ("gpg", "gpg-agent", "gpgv") if not shutil.which(name)]:
        pytest.skip(f"{' and '.join(missing)} not installed")
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg(home, "--passphrase", "", "--quick-gen-key", "test <t@example.com>", "ed25519", "sign")
    gpg(home, "--output", str(home / "keyring.gpg"), "--export")
    return home


def gpg(home: Path, *arguments: str) -> None:
    command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
    subprocess.run([*command, *arguments], check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def signed(signer: Path, files: dict[str, bytes], suite: str = "trixie") -> dict[str, bytes]:
    plain, output = signer / "Release", signer / "InRelease"
    plain.write_bytes(files["Release"])
    output.unlink(missing_ok=True)
    gpg(signer, "--output", str(output), "--clear-sign", str(plain))
    return {**files, f"dists/{suite}/InRelease": output.read_bytes()}


def opened(signer: Path, tmp_path: Path, files: dict[str, bytes]) -> MirrorArchive:
    keyring = signer / "keyring.gpg"
    return MirrorArchive(URL, "trixie", tmp_path, keyring=keyring, download=Server(files))


def test_the_whole_chain(signer: Path, tmp_path: Path) -> None:
    archive = opened(signer, tmp_path, signed(signer, make_archive()))

    assert archive.depends("linux-image-cloud-arm64") == ("linux-image-6.99-cloud-arm64", "other")
    assert archive.depends("none") == ()
    assert archive.download("linux-image-6.99-cloud-arm64").read_bytes() == kernel_deb()
    assert archive.download("busybox-static").read_bytes() == busybox_deb()


def test_backports_stand_on_their_release(signer: Path, tmp_path: Path) -> None:
    newer = "Package: linux-image-cloud-arm64\nDepends: linux-image-7.99-cloud-arm64\n"
    index = lzma.compress(newer.encode())
    lists = f"\n {sha256(index)} {len(index)} {LIST}"
    files = signed(signer, make_archive())
    release = {"Release": f"Codename: trixie-backports\nSHA256: {lists}\n".encode()}
    files |= signed(signer, release, "trixie-backports")
    files[f"dists/trixie-backports/{LIST}"] = index
    server, keyring = Server(files), signer / "keyring.gpg"
    archive = MirrorArchive(URL, "trixie-backports", tmp_path, keyring=keyring, download=server)

    assert archive.depends("linux-image-cloud-arm64") == ("linux-image-7.99-cloud-arm64",)
    assert archive.download("busybox-static").read_bytes() == busybox_deb()


def test_release_changed_after_signing(signer: Path, tmp_path: Path) -> None:
    files = signed(signer, make_archive())
    path = "dists/trixie/InRelease"
    files[path] = files[path].replace(b"Codename: trixie", b"Codename: trixiE")

    with pytest.raises(ArchiveError, match="signature is not good"):
        opened(signer, tmp_path, files)


def test_text_outside_the_signature_counts_for_nothing(signer: Path, tmp_path: Path) -> None:
    files = signed(signer, make_archive())
    path = "dists/trixie/InRelease"
    lie = f"Codename: trixie\nSHA256:\n {sha256(b'evil')} 4 {LIST}\n\n"
    files[path] = lie.encode() + files[path]

    assert opened(signer, tmp_path, files).download("busybox-static").is_file()


def test_signature_of_somebody_else(
    signer: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    other.chmod(0o700)
    gpg(other, "--passphrase", "", "--quick-gen-key", "evil <e@example.com>", "ed25519", "sign")

    with pytest.raises(ArchiveError, match="signature is not good"):
        opened(signer, tmp_path, signed(other, make_archive()))


def test_unsigned_release(signer: Path, tmp_path: Path) -> None:
    files = make_archive()
    files["dists/trixie/InRelease"] = files["Release"]

    with pytest.raises(ArchiveError, match="signature is not good"):
        opened(signer, tmp_path, files)


@pytest.mark.parametrize("path", [f"dists/trixie/{LIST}", "pool/busybox.deb"])
def test_changed_file(signer: Path, tmp_path: Path, path: str) -> None:
    files = signed(signer, make_archive())
    files[path] = files[path][:-1] + b"!"

    with pytest.raises(ArchiveError, match="SHA-256 is"):
        opened(signer, tmp_path, files).download("busybox-static")


def test_old_release(signer: Path, tmp_path: Path) -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(days=1))
    files = signed(signer, make_archive(**{"Valid-Until": past}))

    with pytest.raises(ArchiveError, match="out of date"):
        opened(signer, tmp_path, files)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Codename": "bookworm"}, "sent 'bookworm' as release 'trixie'"),
        ({"Valid-Until": "tomorrow"}, "impossible date"),
        ({"SHA256": "\n x"}, "lists no main/binary-arm64"),
    ],
)
def test_release_that_is_not_the_one(
    signer: Path, tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(ArchiveError, match=words):
        opened(signer, tmp_path, signed(signer, make_archive(**changes)))


def test_packages_that_cannot_be_had(signer: Path, tmp_path: Path) -> None:
    archive = opened(signer, tmp_path, signed(signer, make_archive()))

    with pytest.raises(SetupError, match="has no package gone"):
        archive.download("gone")
    with pytest.raises(ArchiveError, match="impossible path"):
        archive.download("linux-evil")


def test_no_gpgv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    files = make_archive()
    files["dists/trixie/InRelease"] = (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
        + files["Release"]
        + b"-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
    )
    server = Server(files)

    with pytest.raises(SetupError, match=r"gpgv is missing.*--trust-mirror"):
        MirrorArchive(URL, "trixie", tmp_path, download=server)
    assert server.asked == ["dists/trixie/InRelease"]

    trusted = MirrorArchive(URL, "trixie", tmp_path, trust=True, download=server)
    assert trusted.download("busybox-static").read_bytes() == busybox_deb()

    files["pool/busybox.deb"] += b"!"
    with pytest.raises(ArchiveError, match="SHA-256"):
        trusted.download("busybox-static")

    files["dists/trixie/InRelease"] = b"<html>hello</html>"
    with pytest.raises(ArchiveError, match="not a signed message"):
        MirrorArchive(URL, "trixie", tmp_path, trust=True, download=server)


def test_no_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_KEYRINGS", (str(tmp_path / "none"),))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    files = {"dists/trixie/InRelease": b"x"}

    with pytest.raises(SetupError, match="keyring is missing"):
        MirrorArchive(URL, "trixie", tmp_path, download=Server(files))
    with pytest.raises(InputError, match="no such file"):
        MirrorArchive(URL, "trixie", tmp_path, keyring=tmp_path / "none", download=Server(files))


@pytest.mark.parametrize(
    "url",
    ["http://mirror.example/debian", "mirror.example", "https://", "file:///etc", "https://a/b?c"],
)
def test_only_https(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="mirror"):
        MirrorArchive(url, "trixie", tmp_path, download=Server({}))


def test_nobody_there() -> None:
    with pytest.raises(SetupError, match="cannot be downloaded"):
        mirror.download_https("https://127.0.0.1:1/debian", 1)


def test_redirection_to_plain_http_is_refused() -> None:
    handler = mirror._HttpsOnly()

    with pytest.raises(SetupError, match="not HTTPS"):
        handler.redirect_request(None, None, 302, "Found", {}, "http://evil.example/x")
