"""Page tables made up for tests, in every granule and size.

Follows the descriptor pictures of the Arm ARM ("VMSAv8-64 translation table format descriptors"),
and shares nothing with the walker under test.
"""

from dataclasses import dataclass, field

PXN = 1 << 53
UXN = 1 << 54
PXN_TABLE = 1 << 59
AF = 1 << 10


@dataclass
class FakeTables:
    """The upper half of an address space and the memory that its tables are in."""

    page_bits: int
    va_bits: int
    ds: bool = False
    wide: bool = False
    """52-bit output addresses with 64K pages."""
    memory_base: int = 0x4000_0000
    memory: bytearray = field(default_factory=bytearray)
    reads: int = 0

    def __post_init__(self) -> None:
        self.root = self.new_table()

    @property
    def ttbr(self) -> int:
        value = 0x0012_0000_0000_0000 | self.root & ((1 << 48) - 1) | 1  # ASID and CnP
        if self.ds or self.wide:
            value |= (self.root >> 48 & 0xF) << 2
        return value

    @property
    def tcr(self) -> int:
        granule = {12: 0b10, 14: 0b01, 16: 0b11}[self.page_bits]
        value = (64 - self.va_bits) << 16 | granule << 30 | 16
        value |= (6 if self.wide or self.ds else 5) << 32
        return value | (1 << 59 if self.ds else 0)

    @property
    def base(self) -> int:
        return (1 << 64) - (1 << self.va_bits)

    def new_table(self) -> int:
        self.memory += bytes(-len(self.memory) % (1 << self.page_bits))
        address = self.memory_base + len(self.memory)
        self.memory += bytes(1 << self.page_bits)
        return address

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        start = address - self.memory_base
        return bytes(self.memory[start : start + size]) if start >= 0 else b""

    def field_of(self, address: int) -> int:
        if self.ds:
            return address & ((1 << 50) - 1) | (address >> 50) << 8
        if self.wide:
            return address & ((1 << 48) - 1) | (address >> 48) << 12
        return address

    def poke(self, table: int, index: int, descriptor: int) -> None:
        start = table - self.memory_base + 8 * index
        self.memory[start : start + 8] = descriptor.to_bytes(8, "little")

    def peek(self, table: int, index: int) -> int:
        start = table - self.memory_base + 8 * index
        return int.from_bytes(self.memory[start : start + 8], "little")

    def map(
        self, va: int, pa: int, *, level: int = 3, attributes: int = 0, table_attributes: int = 0
    ) -> None:
        """Map one block or page at `level`, tables made on the way."""
        table, index = self._entry(va, level, table_attributes)
        # The shareability bits [9:8] hold address bits where DS is set.
        shared = 0 if self.ds else 0b11 << 8
        kind = 0b11 if level == 3 else 0b01
        self.poke(table, index, self.field_of(pa) | shared | AF | kind | attributes | UXN)

    def unmap(self, va: int) -> None:
        """Let a page be invalid."""
        self.poke(*self._entry(va, 3, 0), 0)

    def _entry(self, va: int, level: int, table_attributes: int) -> tuple[int, int]:
        stride = self.page_bits - 3
        levels = -(-(self.va_bits - self.page_bits) // stride)
        table = self.root
        offset = va - self.base
        for step in range(4 - levels, level):
            index = offset >> (self.page_bits + stride * (3 - step)) & ((1 << stride) - 1)
            if not self.peek(table, index):
                self.poke(table, index, self.field_of(self.new_table()) | 0b11 | table_attributes)
            table = self._next(self.peek(table, index))
        return table, offset >> (self.page_bits + stride * (3 - level)) & ((1 << stride) - 1)

    def _next(self, descriptor: int) -> int:
        low = self.page_bits
        if self.ds:
            return descriptor & ((1 << 50) - (1 << low)) | (descriptor >> 8 & 3) << 50
        address = descriptor & ((1 << 48) - (1 << low))
        return address | ((descriptor >> 12 & 0xF) << 48 if self.wide else 0)
