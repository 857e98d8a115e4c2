/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCG plugin that logs every execution of one instruction: the least that QEMU's own instrumentation can do for
 * a tracer.
 *
 *   -plugin log.so,address=0xffff800080446718,output=FILE
 *
 * QEMU's packages have no header for plugins; these are the few functions of its interface, version 1, that are
 * needed (QEMU documentation, "QEMU TCG Plugins"). That version cannot read a register: what a record can hold is the
 * vCPU, the time and the address.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

enum callback_flags { NO_REGISTERS = 0 };

typedef void (*translated)(plugin_id id, struct qemu_plugin_tb *block);
typedef void (*executed)(unsigned int vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translated callback);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction, executed callback,
					    enum callback_flags flags, void *data);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int count,
			       char **arguments);

struct record {
	uint64_t vcpu;
	uint64_t nanoseconds;
	uint64_t address;
};

static uint64_t address;
static FILE *output;

/* stdio locks: vCPUs are threads. */
static void log_execution(unsigned int vcpu, void *data)
{
	struct timespec now;
	struct record record = { .vcpu = vcpu, .address = address };

	(void)data;
	clock_gettime(CLOCK_MONOTONIC, &now);
	record.nanoseconds = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	fwrite(&record, sizeof(record), 1, output);
}

static void instrument(plugin_id id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);

		if (qemu_plugin_insn_vaddr(instruction) == address)
			qemu_plugin_register_vcpu_insn_exec_cb(instruction, log_execution,
							       NO_REGISTERS, NULL);
	}
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int count,
			       char **arguments)
{
	(void)info;
	for (int i = 0; i < count; i++) {
		if (!strncmp(arguments[i], "address=", 8))
			address = strtoull(arguments[i] + 8, NULL, 0);
		if (!strncmp(arguments[i], "output=", 7))
			output = fopen(arguments[i] + 7, "wb");
	}
	if (!address || !output)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, instrument);
	return 0;
}
