"""Probes in modules, and the names of their code."""

import pytest
from fake_modules import BASE, DATA, NEAR, PAGE, FakeKernel, read_all, two_modules

from stepvisor.errors import ProbeError, SymbolError
from stepvisor.probe.many import place_all
from stepvisor.probe.place import Code, place
from stepvisor.probe.resolve import Target, resolve
from stepvisor.symbols.modules import Module, Modules
from stepvisor.trace.loaded import CodeNames, module_code
from stepvisor.trace.watch import CodeWatch


@pytest.fixture(params=[True, False], ids=["symbol", "search"])
def kernel(request: pytest.FixtureRequest) -> FakeKernel:
    return two_modules(named=request.param)


def resolved(text: str, kernel: FakeKernel) -> Target:
    modules = Modules(lambda: read_all(kernel))
    return resolve(kernel.symbols, text, kernel.symbols, modules)


@pytest.mark.parametrize(
    ("text", "label", "offset"),
    [
        ("dummy:dummy_xmit", "dummy:dummy_xmit", 0x40),
        (" dummy:dummy_xmit+0x8", "dummy:dummy_xmit+0x8", 0x48),
        ("dummy_xmit", "dummy:dummy_xmit", 0x40),
        ("dummy_xmit+4", "dummy:dummy_xmit+0x4", 0x44),
        (f"{NEAR + 0x44:#x}", "dummy:dummy_xmit+0x4", 0x44),
        ("dummy:shared", "dummy:shared", 0x200),
        ("other:shared", "other:shared", 0x10 - 0x10_0000),
        ("other_only", "other:other_only", 0x40 - 0x10_0000),
    ],
)
def test_resolve(kernel: FakeKernel, text: str, label: str, offset: int) -> None:
    assert resolved(text, kernel) == Target(label, NEAR - BASE + offset)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("dummy:dummy_xmti", SymbolError, "module dummy has no symbol .* did you mean dummy_xmit"),
        ("dumy:dummy_xmit", SymbolError, "no module 'dumy' is loaded .* did you mean dummy"),
        ("xfs:read", SymbolError, "there are dummy, other"),
        ("shared", SymbolError, "ambiguous: there are dummy:shared, other:shared"),
        ("nothing", SymbolError, "the kernel has no symbol 'nothing'"),
        ("dummy:dummy_xmit+2", ProbeError, r"dummy:dummy_xmit\+0x2: .* try dummy:dummy_xmit\+0x0"),
        ("dummy:value", ProbeError, "no probe on dummy:value .* data, not code"),
        (f"{NEAR + 0x1_2000:#x}", ProbeError, "no probe on dummy:value .* data, not code"),
        (f"{NEAR + 0x10_0000:#x}", SymbolError, "not in the kernel"),
        ("dummy:", SymbolError, "write NAME"),
        (":x", SymbolError, "no module '' is loaded"),
    ],
)
def test_what_cannot_be_resolved(
    kernel: FakeKernel, text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        resolved(text, kernel)


def test_modules_that_cannot_be_read() -> None:
    """Who asks for a module is told why; who mistypes a name is told that."""
    kernel = FakeKernel()

    def fail() -> tuple[Module, ...]:
        raise SymbolError("no BTF")

    with pytest.raises(SymbolError, match="no BTF"):
        resolve(kernel.symbols, "dummy:dummy_xmit", kernel.symbols, Modules(fail))
    with pytest.raises(SymbolError, match="the kernel has no symbol 'dummy_xmit'"):
        resolve(kernel.symbols, "dummy_xmit", kernel.symbols, Modules(fail))


def test_no_module(kernel: FakeKernel) -> None:
    kernel.link([])

    assert resolved("vfs_read", kernel) == Target("vfs_read", 0x100)
    with pytest.raises(SymbolError, match=r"no module 'dummy' is loaded.*load it before it"):
        resolved("dummy:dummy_xmit", kernel)


def test_names_of_code_that_comes(kernel: FakeKernel) -> None:
    """The modules are read when code turns up that has no name yet, a bounded number of times."""
    late = NEAR + 0x100_0000
    asked = 0

    def modules() -> Modules:
        nonlocal asked
        asked += 1
        return Modules(lambda: read_all(kernel))

    names = CodeNames(kernel.symbols, modules)

    def name(address: int) -> str:
        found = names.at(address)
        return found[0].name if found is not None else ""

    assert (name(BASE + 0x104), name(0x40_0000), asked) == ("vfs_read", "", 0)
    assert (name(NEAR + 0x44), name(NEAR + 0x48), asked) == ("dummy:dummy_xmit",) * 2 + (1,)
    kernel.add_module("late", late, {"late_function": ("t", 0, 0x10)})
    assert (name(late), asked) == ("late:late_function", 2)
    for page in range(1000):
        assert name(BASE + 0x1000_0000 + page * PAGE) == ""
    assert asked < 100


def code_of(kernel: FakeKernel) -> Code:
    modules = Modules(lambda: read_all(kernel))
    return Code(
        kernel.tables.read,
        virtual_base=BASE,
        physical_base=kernel.physical_base,
        text=range(DATA - BASE),
        beyond=module_code(modules, lambda: kernel.memory, BASE),
    )


def test_pages_that_lie_anywhere(kernel: FakeKernel) -> None:
    """Each page is looked up, also of an exclusive sequence that goes on in another one."""
    code = code_of(kernel)
    last = code.request(resolved("dummy:last", kernel), slot=3)

    assert (last.va, last.ipa) == (NEAR + 0x1100, kernel.physical(NEAR + 0x1100))
    assert last.ipa != kernel.physical(NEAR) + 0x1100
    for offset in (0xFFC, 0x1000, 0x1004):
        inside = code.request(Target("inside", NEAR + offset - BASE), slot=1)
        assert inside.ipa == kernel.physical(NEAR + offset)
    with pytest.raises(ProbeError, match="no code is there"):
        code.request(Target("nowhere", NEAR + 0x1_0000 - BASE), slot=1)


def test_code_that_goes(kernel: FakeKernel) -> None:
    target = resolved("dummy:last", kernel)
    code = code_of(kernel)
    kernel.tables.unmap(NEAR + PAGE)

    with pytest.raises(ProbeError, match="not mapped any more"):
        code.request(target, slot=1)


@pytest.mark.parametrize(
    ("pattern", "labels"),
    [
        ("dummy:dummy_*", ["dummy:dummy_open", "dummy:dummy_xmit"]),
        ("*:shared", ["other:shared", "dummy:shared"]),
        ("oth*:*", ["other:twice", "other:shared", "other:other_only"]),
        ("dummy:*same", ["dummy:same"]),
    ],
)
def test_patterns(kernel: FakeKernel, pattern: str, labels: list[str]) -> None:
    modules = Modules(lambda: read_all(kernel))

    found, refused = place_all(
        *(code_of(kernel), kernel.symbols, kernel.symbols, [pattern], lambda _: 1, None, modules),
        limit=100,
    )

    assert sorted(request.label for request in found) == sorted(labels)
    assert all(request.ipa == kernel.physical(request.va) for request in found)
    assert refused == []


@pytest.mark.parametrize(("limit", "armed"), [(3, 3), (2, 2), (1, 1)])
def test_more_functions_than_probes(kernel: FakeKernel, limit: int, armed: int) -> None:
    """What is named comes first, then what fits of the patterns; the rest is told."""
    modules = Modules(lambda: read_all(kernel))
    asked: list[int] = []

    def slots(count: int) -> int:
        asked.append(count)
        return 1

    found, refused = place_all(
        *(code_of(kernel), kernel.symbols, kernel.symbols, ["vfs_read", "dummy:dummy_*"]),
        *(slots, None, modules),
        limit=limit,
    )

    names = ["vfs_read", "dummy:dummy_open", "dummy:dummy_xmit"]
    assert asked == [armed]
    assert found[0].label == "vfs_read"
    assert sorted(p.label for p in [*found, *refused]) == sorted(names)
    assert len(found) == armed
    assert all(p.reason == "the monitor has no probe left for it" and p.may_run for p in refused)


def test_a_pattern_that_fits_nothing(kernel: FakeKernel) -> None:
    modules = Modules(lambda: read_all(kernel))
    for pattern in ("dummy:vfs_*", "xfs:*"):
        with pytest.raises(SymbolError, match="no function of a module"):
            place_all(
                *(code_of(kernel), kernel.symbols, kernel.symbols, [pattern], lambda _: 1),
                modules=modules,
                limit=100,
            )


def test_code_is_watched(kernel: FakeKernel) -> None:
    """Of the probes in modules, those whose page is another one or none, each once."""
    code = code_of(kernel)
    names = ("dummy:dummy_xmit", "dummy:last", "other:shared", "vfs_read")
    probes = place(code, [resolved(name, kernel) for name in names], 1)
    watch = CodeWatch(probes, range(BASE, BASE + 0x1_0000), lambda: kernel.memory)

    assert watch.gone() == []
    kernel.map(NEAR)
    assert [probe.label for probe in watch.gone()] == ["dummy:dummy_xmit"]
    assert watch.gone() == []
    kernel.tables.unmap(NEAR + PAGE)
    assert [probe.label for probe in watch.gone()] == ["dummy:last"]
