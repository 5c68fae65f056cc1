/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A CPU's first instructions: from real mode at a page below 1 MiB straight into 64-bit mode.
 *
 * boot.c copies this into the page and fills the parameters. It runs after INIT (CR4 = 0, so
 * paging has four levels whatever Linux uses), needs no stack and no writable data, and keeps
 * interrupts off. It is data to Linux, so it lies where data lies.
 */
#include <linux/linkage.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include "trampoline.h"

#define IN_PAGE(symbol) (symbol - ant_trampoline)

	.section .rodata, "a"
	.balign 16
	.code16
SYM_DATA_START(ant_trampoline)
	cli
	cld
	jmp	1f
	.org	ant_trampoline + TRAMPOLINE_PARAMS
	.fill	0x2c, 1, 0
1:	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	PARAM_GDT_LIMIT

	movl	$X86_CR4_PAE, %eax
	movl	%eax, %cr4
	movl	PARAM_TABLES, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	PARAM_EFER, %eax
	xorl	%edx, %edx
	wrmsr
	/* Protection and paging in one step; caches on, which INIT leaves off. */
	movl	$(X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG), %eax
	movl	%eax, %cr0
	ljmpl	*PARAM_LONG_OFFSET

	.code64
SYM_INNER_LABEL(ant_trampoline_long, SYM_L_GLOBAL)
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movq	ant_trampoline + PARAM_BOOT_BLOCK(%rip), %rdi
	movq	ant_trampoline + PARAM_CORE(%rip), %rsi
	jmpq	*ant_trampoline + PARAM_ENTRY(%rip)

	/* Null, code, data; "accessed" is set so that the CPU need not write it. */
	.balign 8
SYM_INNER_LABEL(ant_trampoline_gdt, SYM_L_GLOBAL)
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
SYM_DATA_END_LABEL(ant_trampoline, SYM_L_GLOBAL, ant_trampoline_end)
