/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that depends on the version of the kernel (6.1 and 6.12).
 *
 * Two things need no condition: alloc_contig_range() keeps its arguments up to 6.12, and the
 * members of `apic` stay when apic_icr_write() becomes a static call that modules cannot make.
 */
#ifndef ANT_COMPAT_H
#define ANT_COMPAT_H

#include <linux/irq.h>
#include <linux/mm.h>
#include <linux/version.h>
#include <asm/apic.h>

static inline void ant_vm_flags(struct vm_area_struct *vma, vm_flags_t set, vm_flags_t clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* NULL in 6.12 where the controller never needs a wait (x2APIC). */
static inline void ant_wait_icr_idle(void)
{
	if (apic->safe_wait_icr_idle)
		apic->safe_wait_icr_idle();
}

/* The route is one 64-bit store, so the irq may move at once, not only when it next fires. */
static inline void ant_irq_moves_at_once(unsigned int irq)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
	irq_set_status_flags(irq, IRQ_MOVE_PCNTXT);
#endif
}

#endif /* ANT_COMPAT_H */
