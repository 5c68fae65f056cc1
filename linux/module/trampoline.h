/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The blob in trampoline.S, and the parameters in it that boot.c fills before each start.
 */
#ifndef ANT_TRAMPOLINE_H
#define ANT_TRAMPOLINE_H

#define TRAMPOLINE_PARAMS	0x08
#define PARAM_ENTRY		(TRAMPOLINE_PARAMS + 0x00)
#define PARAM_BOOT_BLOCK	(TRAMPOLINE_PARAMS + 0x08)
#define PARAM_CORE		(TRAMPOLINE_PARAMS + 0x10)
#define PARAM_TABLES		(TRAMPOLINE_PARAMS + 0x18)
#define PARAM_EFER		(TRAMPOLINE_PARAMS + 0x1c)
#define PARAM_LONG_OFFSET	(TRAMPOLINE_PARAMS + 0x20)
#define PARAM_LONG_SELECTOR	(TRAMPOLINE_PARAMS + 0x24)
#define PARAM_GDT_LIMIT		(TRAMPOLINE_PARAMS + 0x26)
#define PARAM_GDT_BASE		(TRAMPOLINE_PARAMS + 0x28)

#ifndef __ASSEMBLY__

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

struct trampoline_params {
	__u64 entry;		/* first instruction of AnT, virtual */
	__u64 boot_block;	/* for rdi: the boot block, virtual */
	__u64 cpu;		/* for rsi: index of the CPU */
	__u32 tables;		/* for cr3: must lie below 4 GiB */
	__u32 efer;
	__u32 long_offset;	/* far pointer to the 64-bit code, physical */
	__u16 long_selector;
	__u16 gdt_limit;	/* operand of lgdt ... */
	__u32 gdt_base;		/* ... physical */
} __packed;
static_assert(offsetof(struct trampoline_params, cpu) == PARAM_CORE - TRAMPOLINE_PARAMS);
static_assert(offsetof(struct trampoline_params, efer) == PARAM_EFER - TRAMPOLINE_PARAMS);
static_assert(offsetof(struct trampoline_params, gdt_limit) ==
	      PARAM_GDT_LIMIT - TRAMPOLINE_PARAMS);
static_assert(offsetof(struct trampoline_params, gdt_base) ==
	      PARAM_GDT_BASE - TRAMPOLINE_PARAMS);

extern const char ant_trampoline[], ant_trampoline_long[], ant_trampoline_gdt[],
	ant_trampoline_end[];

#endif /* __ASSEMBLY__ */
#endif /* ANT_TRAMPOLINE_H */
