"""What the static analysis of the monitor (scripts/analyse.py, .clang-tidy) finds, and lets be."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = "[custom-unchecked-index"

CHECKED = "return view < VIEWS && index < ROOT_ENTRIES ? &roots[view][index] : NULL;"
UNCHECKED = (
    "return &roots[view][page.raw / GIGABYTE];",
    "return &roots[view][index];",
    "return view < VIEWS ? &roots[view][index] : NULL;",
    "return index < ROOT_ENTRIES ? &roots[view][index] : NULL;",
)

RULE = """
#include "types.h"
enum { FIRST, SIZE = 16 };
struct list {
	u32 count;
	u64 items[SIZE];
};
static u64 table[SIZE];
static const u64 *anywhere;

u64 bounded(const struct list *list, u64 guests);
u64 bounded(const struct list *list, u64 guests)
{
	u64 sum = table[0] + table[FIRST] + table[sizeof(table) / 8 - 1] + table[guests % SIZE];

	for (u32 i = 0; i < list->count; i++)
		sum += list->items[i];
	if (guests < SIZE)
		sum += table[guests] + table[guests / 2];
	return sum + table[guests & 15] + table[(guests & 0xf0) >> 4];
}

u64 unbounded(const struct list *list, u64 guests);
u64 unbounded(const struct list *list, u64 guests)
{
	u64 sum = table[guests]; /* found */

	sum += table[guests / 4096]; /* found */
	sum += table[list->count]; /* found */
	sum += list->items[guests]; /* found */
	sum += anywhere[guests]; /* found */
	sum += table[list->items[0]]; /* found */
	return sum;
}
"""


@pytest.fixture(scope="module")
def analyse() -> Callable[[Path], str]:
    spec = importlib.util.spec_from_file_location("analyse", ROOT / "scripts" / "analyse.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.analyse  # type: ignore[no-any-return]


@pytest.mark.parametrize("unchecked", UNCHECKED)
def test_a_table_indexed_by_any_address_is_found(
    analyse: Callable[[Path], str], tmp_path: Path, unchecked: str
) -> None:
    """The guest may lead to an address that no root describes: once, that ended the monitor."""
    text = (ROOT / "el2" / "stage2.c").read_text(encoding="utf-8")
    broken = tmp_path / "stage2.c"
    broken.write_text(text.replace(CHECKED, unchecked), encoding="utf-8")

    assert CHECKED in text
    assert CHECK in analyse(broken)


def test_which_index_counts_as_bounded(analyse: Callable[[Path], str], tmp_path: Path) -> None:
    source = tmp_path / "rule.c"
    source.write_text(RULE, encoding="utf-8")
    expected = [n for n, line in enumerate(RULE.splitlines(), 1) if "/* found */" in line]

    words = [line for line in analyse(source).splitlines() if CHECK in line]

    assert [int(re.findall(r"rule\.c:(\d+):", line)[0]) for line in words] == expected


def test_a_path_that_follows_a_null_is_found(
    analyse: Callable[[Path], str], tmp_path: Path
) -> None:
    """clang's own analyser is at work, too."""
    source = tmp_path / "path.c"
    text = "int f(int *p);\nint f(int *p)\n{\n\tif (!p)\n\t\treturn *p;\n\treturn 0;\n}\n"
    source.write_text(text, encoding="utf-8")

    assert "[clang-analyzer-core.NullDereference" in analyse(source)
