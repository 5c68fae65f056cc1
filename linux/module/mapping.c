// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings: the shared area for the control file (to look at), one LCA for a proxy file.
 *
 * Pages come by faults, as ordinary pages: a system call may pin an LCA's buffer as it may any
 * user's (direct I/O, 9p). So whoever gives a page to somebody else looks first whether Linux still
 * has a reference (stores.c), and the stop drops only the module's own (memory.c).
 */
#include <linux/fs.h>
#include <linux/mm.h>

#include "ant.h"
#include "compat.h"

/* Of a fault that meets the stop, the page stays the program's alone until it unmaps it. */
static vm_fault_t ant_fault(struct vm_fault *vmf)
{
	struct ant_file *file = vmf->vma->vm_file->private_data;
	struct ant_partition *part = file->part;
	unsigned long pfn = vmf->pgoff;
	int ticket;

	if (!ant_gate_enter(part, &ticket))
		return VM_FAULT_SIGBUS;
	if (file->role == ANT_CONTROL)
		pfn += PHYS_PFN(part->image + ANT_SHARED_OFFSET);
	vmf->page = pfn_to_page(pfn);
	get_page(vmf->page);
	ant_gate_leave(ticket);
	return 0;
}

static const struct vm_operations_struct ant_vm_operations = {
	.fault = ant_fault,
};

int ant_mmap(struct file *filp, struct vm_area_struct *vma)
{
	const vm_flags_t set = VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY;
	struct ant_file *file = filp->private_data;
	enum ant_role role = ant_role(file);
	unsigned long len = vma->vm_end - vma->vm_start;

	if (role == ANT_FRESH)
		return -EBADFD;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (role == ANT_PROXY) {
		if (len != PAGE_SIZE || vma->vm_pgoff != PHYS_PFN(ant_raddr(file->lca)))
			return -EINVAL;
	} else {
		if (len > ANT_SHARED_SPAN || vma->vm_pgoff)
			return -EINVAL;
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
	}
	ant_vm_flags(vma, set, role == ANT_CONTROL ? VM_MAYWRITE : 0);
	vma->vm_ops = &ant_vm_operations;
	return 0;
}
