"""Monitor and guest of the suite, built from this very tree, and mutants of the monitor."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import build_guests

import build

__all__ = ("Builds",)

_HEADERS = Path(build.__file__).parent / "include"


@dataclass(frozen=True)
class Builds:
    """What has been built in `directory`."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Builds":
        """Everything, once; mutants are then a file or two and a link away."""
        tools = build.find_toolchain()
        builds = cls(directory)
        builds._objects.mkdir()
        build._write_offsets(builds._compiler, builds._objects)
        build._compile_all(builds._compiler, builds._objects)
        build._link(tools, builds._object_files(), directory)
        build_guests.build_guests(directory / "guests", tools, ["conformance"])
        return builds

    @property
    def monitor(self) -> Path:
        """The monitor as it is."""
        return self.directory / "monitor.bin"

    @property
    def guest(self) -> bytes:
        """The guest."""
        return (self.directory / "guests" / "conformance.bin").read_bytes()

    def mutate(self, name: str, changes: Mapping[str, tuple[str, str]]) -> Path:
        """The monitor with one text replaced by another in each of these files of el2/."""
        output = self.directory / name
        objects = output / "objects"
        shutil.copytree(self._objects, objects)
        for file, (old, new) in changes.items():
            text = (build._SOURCE / file).read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{file} has {text.count(old)} times: {old}"
            changed = output / file
            changed.write_text(text.replace(old, new), encoding="utf-8")
            build._run(
                [*self._compiler, "-w", "-c", str(changed), "-o", str(objects / f"{file}.o")]
            )
        files = [objects / path.name for path in self._object_files()]
        return build._link(build.find_toolchain(), files, output)[1]

    @property
    def _objects(self) -> Path:
        return self.directory / "objects"

    @property
    def _compiler(self) -> tuple[str, ...]:
        include = (f"-I{_HEADERS}", f"-I{self._objects}")
        return (*build.find_toolchain().compiler, *build._COMPILE, *include)

    def _object_files(self) -> list[Path]:
        return sorted(self._objects.glob("*.o"))
