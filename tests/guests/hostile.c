/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that tries what it must not: reach the monitor's memory, silence its interrupts, confuse it by
 * calls and instructions. Each try is one line and one checkpoint, at which the test asks the monitor
 * whether it lives.
 */
#include "guest.h"

/* Patched by the test. */
PATCHED u64 with_mmu = 1;
PATCHED u64 ram_end = 0x4c000000;
PATCHED u64 slot_armed = 0; /* slot 7 lies on armed_target */
PATCHED u64 only_instructions = 0;

#define MONITOR_IMAGE (RAM_BASE + 0x200000)
#define MONITOR_CONTROL (RAM_BASE + 0x400000)
#define MONITOR_RINGS (RAM_BASE + 0xc00000)
#define MONITOR_POOL (RAM_BASE + 0x2c00000)
#define FW_CFG UL(0x09020000)
#define BEYOND_40_BITS (1UL << 40)
#define BEYOND_STAGE1_ALIAS (5UL << 30) /* where mmu.c maps it */

#define GICD_CTLR (GICD_BASE + 0x0)
#define SGI_FRAME (GICR_BASE + GICR_SGI)
#define MONITOR_INTIDS (3U << 25)

struct access {
	const char *name;
	u64 (*function)(u64, u64);
	u64 plain; /* a form that a hypervisor gets described in ESR_EL2.ISS */
};

extern const struct access accesses[], accesses_end[];

extern u8 user_smc[], user_smc_slot[], user_hvc[], user_load[], user_mrs[], user_wfi[];

u64 enter_el0(u64 code, u64 argument);
u64 armed_target(u64 number, u64 unused);
u64 fp_off(u64 a, u64 b);

/* clang-format off */
#define EACH_CALL(X) \
	X(smc_0) X(smc_1) X(smc_7) X(smc_8000) X(smc_ffff) X(hvc_0) \
	X(hvc_1) X(hvc_ffff) X(udf) X(unallocated) X(mrs_hcr) X(msr_vbar_el2) \
	X(msr_vttbr) X(mrs_cnthp) X(msr_ich_hcr) X(tlbi_alle1) X(at_s12) X(msr_sp_el1) \
	X(brk) X(hlt) X(dcps2) X(drps)
/* clang-format on */
#define DECLARE(name) u64 call_##name(u64 a, u64 b);
EACH_CALL(DECLARE)

static void outcome(const char *group, const char *name, const struct caught *caught, u64 result)
{
	if (caught)
		print("CASE: %s.%s vector 0x%lx esr 0x%lx", group, name, caught->vector,
		      caught->frame.esr);
	else
		print("CASE: %s.%s value 0x%lx", group, name, result);
	ready("case");
}

static void attempt_case(const char *group, const char *name, u64 (*function)(u64, u64), u64 a,
			 u64 b)
{
	u64 result = 0;
	const struct caught *caught = attempt(function, a, b, &result);

	outcome(group, name, caught, result);
}

/* Writes are tried only where nothing of the guest's own lies. */
static void all_accesses(const char *group, u64 address)
{
	for (const struct access *access = accesses; access < accesses_end; access++)
		attempt_case(group, access->name, access->function, address, 0xdeadbeefcafef00d);
}

static void loads(const char *group, u64 address)
{
	for (const struct access *access = accesses; access < accesses_end; access++)
		if (access->name[0] == 'l' && access->name[1] == 'd' && access->plain)
			attempt_case(group, access->name, access->function, address, 0);
}

static u64 load(u64 address, u64 unused)
{
	(void)unused;
	return *(volatile u64 *)address;
}

static u64 load_unaligned(u64 address, u64 unused)
{
	u64 result;

	(void)unused;
	asm volatile("ldr %0, [%1]" : "=r"(result) : "r"(address) : "memory");
	return result;
}

static u64 store_byte(u64 address, u64 number)
{
	mmio_write8(address, (u8)number);
	return mmio_read((u64)address & ~3UL);
}

static u64 store_half(u64 address, u64 number)
{
	asm volatile("strh %w0, [%1]" ::"r"(number), "r"(address) : "memory");
	return 0;
}

static u64 store_word(u64 address, u64 number)
{
	mmio_write(address, (u32)number);
	return 0;
}

static u64 store_double(u64 address, u64 number)
{
	mmio_write64(address, number);
	return 0;
}

static void reach_memory(void)
{
	all_accesses("monitor-image", MONITOR_IMAGE);
	all_accesses("monitor-control", MONITOR_CONTROL + 0x500);
	all_accesses("monitor-rings", MONITOR_RINGS);
	all_accesses("monitor-pool", MONITOR_POOL + 0x1000);
	all_accesses("monitor-last", GUEST_RAM_BASE - 64);
	all_accesses("monitor-first", RAM_BASE);
	all_accesses("fw-cfg", FW_CFG);
	loads("behind-ram", ram_end);
	attempt_case("behind-ram", "str_x", store_double, ram_end, 1);
	if (!with_mmu)
		return;
	attempt_case("monitor-border", "ldr_x", load_unaligned, GUEST_RAM_BASE - 4, 0);
	loads("beyond-40-bits", BEYOND_STAGE1_ALIAS);
	attempt_case("beyond-40-bits", "str_x", store_double, BEYOND_STAGE1_ALIAS, 1);
}

/* A translation table in the monitor's memory: the walk must not read it. */
static u64 walk_monitor(u64 address, u64 by_at)
{
	u64 tcr = read_reg(tcr_el1), result;

	write_reg(ttbr1_el1, MONITOR_CONTROL);
	write_reg(tcr_el1, (tcr & ~(1UL << 23)) | 25UL << 16 | 2UL << 30);
	isb();
	asm volatile("tlbi vmalle1; dsb sy; isb" ::: "memory");
	if (by_at) {
		asm volatile("at s1e1r, %0; isb" ::"r"(address) : "memory");
		result = read_reg(par_el1) & 1;
	} else {
		result = load(address, 0);
	}
	return result;
}

static void stop_walking(void)
{
	mmu_on();
}

static void gic_forms(void)
{
	for (const struct access *access = accesses; access < accesses_end; access++) {
		if (access->name[0] == 'e')
			continue; /* devices are not for executing */
		attempt_case("gicd-iidr", access->name, access->function, GICD_BASE + 8, 0);
		attempt_case("gicr-priority", access->name, access->function, SGI_FRAME + 0x408,
			     0xa0a0a0a0a0a0a0a0);
	}
}

struct device_write {
	const char *name;
	u64 address;
	u64 number;
	u64 (*function)(u64, u64);
};

/* What would silence the monitor if it were let through. */
static const struct device_write writes[] = {
	{ "icenabler0", SGI_FRAME + 0x180, MONITOR_INTIDS, store_word },
	{ "icenabler0-byte", SGI_FRAME + 0x183, 0xff, store_byte },
	{ "icenabler0-half", SGI_FRAME + 0x182, 0xffff, store_half },
	{ "icenabler0-double", SGI_FRAME + 0x180, ~0UL, store_double },
	{ "icenabler0-double-before", SGI_FRAME + 0x178, ~0UL, store_double },
	{ "icpendr0", SGI_FRAME + 0x280, ~0UL, store_word },
	{ "ispendr0", SGI_FRAME + 0x200, MONITOR_INTIDS, store_word },
	{ "icactiver0", SGI_FRAME + 0x380, ~0UL, store_word },
	{ "isactiver0", SGI_FRAME + 0x300, MONITOR_INTIDS, store_word },
	{ "igroupr0", SGI_FRAME + 0x80, 0, store_word },
	{ "igroupr0-back", SGI_FRAME + 0x80, ~0UL, store_word },
	{ "igrpmodr0", SGI_FRAME + 0xd00, ~0UL, store_word },
	{ "igrpmodr0-back", SGI_FRAME + 0xd00, 0, store_word },
	{ "ipriorityr-word", SGI_FRAME + 0x418, ~0UL, store_word },
	{ "ipriorityr-byte-25", SGI_FRAME + 0x419, 0xff, store_byte },
	{ "ipriorityr-byte-26", SGI_FRAME + 0x41a, 0xff, store_byte },
	{ "ipriorityr-half", SGI_FRAME + 0x41a, 0xffff, store_half },
	{ "ipriorityr-double", SGI_FRAME + 0x418, ~0UL, store_double },
	{ "ipriorityr-unaligned", SGI_FRAME + 0x419, ~0UL, store_word },
	{ "icfgr1", SGI_FRAME + 0xc04, ~0UL, store_word },
	{ "icfgr1-zero", SGI_FRAME + 0xc04, 0, store_word },
	{ "icfgr0", SGI_FRAME + 0xc00, 0, store_word },
	{ "nsacr", SGI_FRAME + 0xe00, ~0UL, store_word },
	{ "waker", GICR_BASE + 0x14, 2, store_word },
	{ "waker-byte", GICR_BASE + 0x14, 2, store_byte },
	{ "waker-back", GICR_BASE + 0x14, 0, store_word },
	{ "gicr-ctlr", GICR_BASE, ~0UL & ~(1UL << 31), store_word },
	{ "gicd-ctlr", GICD_CTLR, 0, store_word },
	{ "gicd-ctlr-byte", GICD_CTLR, 0, store_byte },
	{ "gicd-ctlr-half", GICD_CTLR, 0, store_half },
	{ "gicd-ctlr-double", GICD_CTLR, 0, store_double },
	{ "gicd-ctlr-back", GICD_CTLR, 0x12, store_word },
	{ "gicd-icenabler0", GICD_BASE + 0x180, ~0UL, store_word },
	{ "gicd-setspi", GICD_BASE + 0x40, 26, store_word },
	{ "gicd-clrspi", GICD_BASE + 0x48, 26, store_word },
	{ "gicd-sgir", GICD_BASE + 0xf00, ~0UL, store_word },
};

static u64 cpu_interface(u64 unused1, u64 unused2)
{
	(void)unused1;
	(void)unused2;
	write_reg(S3_0_C12_C12_7, 0UL);			   /* ICC_IGRPEN1_EL1 */
	write_reg(S3_0_C4_C6_0, 0UL);			   /* ICC_PMR_EL1 */
	write_reg(S3_0_C12_C12_4, ~0UL);		   /* ICC_CTLR_EL1 */
	write_reg(S3_0_C12_C12_1, 26UL);		   /* ICC_EOIR1_EL1 */
	write_reg(S3_0_C12_C11_1, 26UL);		   /* ICC_DIR_EL1 */
	write_reg(S3_0_C12_C12_3, 7UL);			   /* ICC_BPR1_EL1 */
	write_reg(S3_0_C12_C11_5, 1UL << 40 | 15UL << 24); /* ICC_SGI1R_EL1, to all others */
	write_reg(S3_0_C12_C12_5, 0UL);			   /* ICC_SRE_EL1 */
	isb();
	return read_reg(S3_0_C12_C12_5) & 1;
}

static void silence(void)
{
	for (u32 i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		attempt_case("silence", writes[i].name, writes[i].function, writes[i].address,
			     writes[i].number);
	attempt_case("silence", "cpu-interface", cpu_interface, 0, 0);
}

struct firmware_call {
	const char *name;
	u64 function;
	u64 argument[3];
};

static u64 self(void)
{
	return read_reg(mpidr_el1) & 0xff00ffffffUL;
}

static u64 call_firmware(u64 pointer, u64 unused)
{
	const struct firmware_call *call = (const struct firmware_call *)pointer;

	(void)unused;
	return smc(call->function, call->argument[0], call->argument[1], call->argument[2]);
}

#define PSCI_FEATURES 0x8400000aUL

static void firmware(void)
{
	const struct firmware_call calls[] = {
		{ "version", PSCI_VERSION, { 0 } },
		{ "version-high-bits", PSCI_VERSION | 0xffffffffUL << 32, { 0 } },
		{ "features-cpu-on", PSCI_FEATURES, { PSCI_CPU_ON } },
		{ "features-unknown", PSCI_FEATURES, { 0x84000099 } },
		{ "features-smccc", PSCI_FEATURES, { 0x80000000 } },
		{ "smccc-version", 0x80000000, { 0 } },
		{ "smccc-arch-features", 0x80000001, { 0x80008000 } },
		{ "migrate-info", 0x84000006, { 0 } },
		{ "affinity-self", PSCI_AFFINITY_INFO, { self(), 0 } },
		{ "affinity-bad", PSCI_AFFINITY_INFO, { 0x0badbad, 0 } },
		{ "affinity-bad-level", PSCI_AFFINITY_INFO, { self(), 9 } },
		{ "on-bad-mpidr", PSCI_CPU_ON, { 0x00badbad, GUEST_RAM_BASE, 0 } },
		{ "on-far-mpidr", PSCI_CPU_ON, { 0x100000000, GUEST_RAM_BASE, 0 } },
		{ "on-absent", PSCI_CPU_ON, { self() + 7, GUEST_RAM_BASE, 0 } },
		{ "on-self", PSCI_CPU_ON, { self(), GUEST_RAM_BASE, 0 } },
		{ "on-32-bit-self", 0x84000003, { self(), GUEST_RAM_BASE, 0 } },
		{ "unknown-fast-32", 0x84000099, { 1, 2, 3 } },
		{ "unknown-fast-64", 0xc4000099, { 1, 2, 3 } },
		{ "unknown-yielding", 0x00000001, { 1, 2, 3 } },
		{ "vendor", 0xc6000000, { 1, 2, 3 } },
		{ "trusted", 0xb2000000, { 1, 2, 3 } },
		{ "all-ones", ~0UL, { ~0UL, ~0UL, ~0UL } },
		{ "zero", 0, { 0 } },
		{ "suspend-standby", 0xc4000001, { 0, GUEST_RAM_BASE, 0 } },
		{ "migrate", 0xc4000005, { self() } },
		{ "set-suspend-mode", 0x8400000f, { 1 } },
		{ "reset2", 0x84000012, { 0 } },
		{ "reset2-64-bit", 0xc4000012, { 0 } },
		{ "off-high-bits", PSCI_SYSTEM_OFF | 1UL << 32, { 0 } },
		{ "reset-high-bits", 0x84000009 | 1UL << 40, { 0 } },
		{ "suspend-system", 0xc400000e, { GUEST_RAM_BASE, 0 } },
		{ "features-suspend-system", PSCI_FEATURES, { 0xc400000e } },
		{ "sdei-register", 0xc4000021, { 0, GUEST_RAM_BASE, 0 } },
	};

	/* Standby ends with an interrupt: one is there already. */
	gic_send(1, 0);
	for (u32 i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		attempt_case("firmware", calls[i].name, call_firmware, (u64)&calls[i], 0);
}

static void instructions(void)
{
#define ATTEMPT(name) attempt_case("instruction", #name, call_##name, PSCI_VERSION, 0);
	EACH_CALL(ATTEMPT)
	attempt_case("instruction", "fp-off", fp_off, 0, 0);
	write_reg(cpacr_el1, 3UL << 20);
	isb();
	if (slot_armed)
		value("armed-target", armed_target(1, 0));
}

static void at_el0(void)
{
	attempt_case("el0", "smc", enter_el0, (u64)user_smc + USER_ALIAS, 0);
	attempt_case("el0", "smc-slot", enter_el0, (u64)user_smc_slot + USER_ALIAS, 0);
	attempt_case("el0", "hvc", enter_el0, (u64)user_hvc + USER_ALIAS, 0);
	attempt_case("el0", "mrs", enter_el0, (u64)user_mrs + USER_ALIAS, 0);
	attempt_case("el0-monitor", "load", enter_el0, (u64)user_load + USER_ALIAS,
		     MONITOR_CONTROL + USER_ALIAS);
	attempt_case("el0-monitor", "execute", enter_el0, MONITOR_IMAGE + USER_ALIAS, 0);
}

static void everything(void)
{
	reach_memory();
	if (with_mmu) {
		attempt_case("monitor-walk", "load", walk_monitor, 0xffffff8000000000, 0);
		stop_walking();
		attempt_case("monitor-walk", "at", walk_monitor, 0xffffff8000000000, 1);
		stop_walking();
	}
	gic_forms();
	firmware();
}

void guest_main(void)
{
	gic_init();
	if (with_mmu)
		mmu_on();
	if (!only_instructions)
		everything();
	if (with_mmu)
		at_el0();
	instructions();
	if (!only_instructions)
		silence();
	print("END: no more");
	finish();
}
