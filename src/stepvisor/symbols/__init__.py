"""Symbols of the guest's kernel, and where the running kernel has them."""

from stepvisor.symbols.kallsyms import read_kallsyms
from stepvisor.symbols.kaslr import find_kernel_base, translate
from stepvisor.symbols.table import Symbol, SymbolTable

__all__ = ("Symbol", "SymbolTable", "find_kernel_base", "read_kallsyms", "translate")
