"""kallsyms read back from Images made in every layout that Linux has used since 5.10."""

import random

import fake_kernel
import numpy as np
import pytest
from fake_kernel import FakeKallsyms, fake_image, make_symbols

from stepvisor.errors import StepvisorError, SymbolError
from stepvisor.guest.image import KernelImage
from stepvisor.symbols.kallsyms import read_kallsyms

LAYOUTS = {
    "5.10": {"old_order": True, "seqs_size": 0, "relocated": True, "long_lengths": False},
    "6.1.y": {"old_order": True, "seqs_size": 3, "relocated": True},
    "6.2": {"old_order": True, "seqs_size": 4, "relocated": True},
    "6.2 in place": {"old_order": True, "seqs_size": 3},
    "6.6": {"relocated": True},
    "6.12": {},
    "7.0": {"place_relative": True, "alignment": 4, "relocated": True},
    "7.0 without relocations": {"place_relative": True, "alignment": 4},
}


def layout(name: str, count: int = 2000, seed: int = 1) -> FakeKallsyms:
    symbols = make_symbols(count, seed)
    if name == "5.10":
        for symbol in symbols:
            symbol.name = symbol.name[:120]
    return FakeKallsyms(symbols=symbols, **LAYOUTS[name])


def replaced(image: KernelImage, data: bytes) -> KernelImage:
    return KernelImage(
        data, image.text_offset, image.image_size, image.flags, image.path, image.banner
    )


@pytest.mark.parametrize("pad", [0, 3])
@pytest.mark.parametrize("count", [1025, 1792, 2000])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(name: str, count: int, pad: int) -> None:
    made = layout(name, count)

    found = read_kallsyms(fake_image(made, pad=pad))

    assert found.names == tuple(symbol.name for symbol in made.symbols)
    assert found.types == "".join(symbol.type for symbol in made.symbols)
    assert found.offsets.tolist() == [symbol.offset for symbol in made.symbols]
    assert found.link_base == fake_kernel.LINK_BASE


@pytest.mark.parametrize("name", ["6.1.y", "6.12"])
def test_link_base_is_read_not_assumed(name: str) -> None:
    base = 0xFFFF_8000_1060_0000

    assert read_kallsyms(fake_image(layout(name), link_base=base)).link_base == base


def test_data_symbols_only_from_text_start() -> None:
    """A kernel without CONFIG_KALLSYMS_ALL: the lowest symbol is _stext, not _text."""
    made = layout("6.1.y")
    made.symbols = made.symbols[1:]

    found = read_kallsyms(fake_image(made))

    assert found.names[0] == "_stext"
    assert int(found.offsets[0]) == 0x1_0000
    assert found.link_base == fake_kernel.LINK_BASE


def test_entry_point_unknown() -> None:
    made = layout("6.1.y")
    made.symbols = [symbol for symbol in made.symbols if symbol.name != "primary_entry"]

    assert read_kallsyms(fake_image(made)).link_base == fake_kernel.LINK_BASE


def test_no_kallsyms() -> None:
    image = fake_image(layout("6.12"))
    noise = image.data[: fake_kernel.HEADER_SIZE] + random.Random(9).randbytes(0x8_0000)

    with pytest.raises(SymbolError, match="no symbol table \\(kallsyms\\) found"):
        read_kallsyms(replaced(image, noise))


def test_zeros_and_tiny_images() -> None:
    image = fake_image(layout("6.12"))
    for data in (b"", bytes(64), bytes(511), bytes(1 << 20)):
        with pytest.raises(SymbolError):
            read_kallsyms(replaced(image, data))


def test_symbols_of_a_cut_image() -> None:
    """An Image without EFI stub does not say its length; a cut one has no whole tables."""
    image = fake_image(layout("6.12"))
    for part in (0.5, 0.8, 0.9):
        with pytest.raises(SymbolError):
            read_kallsyms(replaced(image, image.data[: int(len(image.data) * part)]))


@pytest.mark.parametrize("name", ["5.10", "6.1.y", "6.12", "7.0"])
def test_damage_never_escapes_our_errors(name: str) -> None:
    image = fake_image(layout(name, 1100))
    start = 0x3_1000
    rng = random.Random(4)
    refused = 0
    for _ in range(40):
        data = np.frombuffer(image.data, np.uint8).copy()
        for _ in range(rng.choice((1, 20, 400))):
            data[rng.randrange(start, len(data))] = rng.randrange(256)
        try:
            found = read_kallsyms(replaced(image, data.tobytes()))
        except StepvisorError:
            refused += 1
        else:
            assert len(found.names) == len(found.types) == len(found.offsets)
    assert refused > 0
