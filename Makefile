# make demo    a Debian kernel under the monitor, traced
# make test    unit and system tests
# make test-kernels  what depends on a kernel's own layouts, on one more release
# make check   format, lint, types, static analysis, layering, generated files
# make el2     the monitor alone
# make gen     everything that is generated from spec/
# make fix     format the code
# make fuzz-host  damaged files and answers by the thousand, other ones each time
# make fuzz    random actions of a guest, natively and under the monitor: SECONDS=60 SEED=1
# make bench   hits, steps and idle guests against the alternatives; bench-quick: the ratios alone,
#              bench-floors: bare metal alone
# make matrix  conformance and system tests on other QEMUs and kernels (hours); matrix-quick: one QEMU,
#              in two minutes
#
# Each does its own set-up: Debian packages, .venv, the monitor, a guest kernel.

BIN := .venv/bin
PYTHON := $(BIN)/python
C_FILES = $(filter-out %_gen.h el2/layout_check.c,$(wildcard \
	el2/*.c el2/include/*.h bench/*/*.[ch] tests/guests/*.[ch] tests/guests/*/*.[ch]))

FUZZ ?= 2000
SECONDS ?= 60
SEED ?= 1

.PHONY: fuzz fuzz-host demo test test-kernels check el2 gen fix bench bench-quick bench-floors matrix matrix-quick \
	setup guest

demo: guest
	@$(PYTHON) examples/demo.py

# The conformance suite has processes of its own. Guests have threads of their own, and two at a time on two
# processors are a busy machine: those of tests/system run one after the other.
test: guest
	$(PYTHON) -m pytest tests/conformance
	$(PYTHON) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile tests/unit
	$(PYTHON) -m pytest tests/system

test-kernels: guest
	STEPVISOR_TEST_RELEASES=6.12,6.1,5.10 $(PYTHON) -m pytest tests/system/test_modules.py

check: setup
	$(PYTHON) spec/gen.py --check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/mypy
	$(PYTHON) scripts/analyse.py
	$(PYTHON) -m pytest -q tests/unit/test_layering.py tests/unit/test_headers.py

fuzz-host: setup
	STEPVISOR_FUZZ=$(FUZZ) $(PYTHON) -m pytest --timeout=0 tests/unit/test_fuzz_host.py

fuzz: setup
	@$(PYTHON) -m fuzz --seconds $(SECONDS) --seed $(SEED)

el2: setup
	@$(MAKE) --silent --no-print-directory -C el2 PYTHON=$(CURDIR)/$(PYTHON)

gen: setup
	$(PYTHON) spec/gen.py

fix: setup gen
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(C_FILES)

bench: guest
	@$(PYTHON) -m bench

bench-quick: guest
	@$(PYTHON) -m bench --quick

bench-floors: guest
	@$(PYTHON) -m bench.floors

matrix: guest
	@$(PYTHON) -m matrix

matrix-quick: guest
	@$(PYTHON) -m matrix --quick

setup:
	@python3 scripts/setup.py

guest: setup el2
	@$(BIN)/stepvisor guest fetch > /dev/null
