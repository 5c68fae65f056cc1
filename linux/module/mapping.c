// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings: the shared area for the control file (to look at), an LCA for a file that serves it.
 *
 * Pages come by faults, as ordinary pages: a system call may pin an LCA's buffer as it may any
 * user's (direct I/O, 9p). So the stop drops only the module's own references (memory.c), and an
 * LCA is given back to AnT only when Linux has none: a program controls its proxy, and may have
 * passed the proxy's file or mapping on to a process that outlives it.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mm.h>

#include "ant.h"
#include "compat.h"

static bool is_shared_area(const struct ant_file *file, unsigned long pgoff)
{
	return ant_role(file) == ANT_CONTROL && pgoff < PHYS_PFN(ANT_SHARED_SPAN);
}

static struct page *shared_page(const struct ant_partition *part, unsigned long pgoff)
{
	struct page *page = pfn_to_page(PHYS_PFN(part->image + ANT_SHARED_OFFSET) + pgoff);

	get_page(page);
	return page;
}

/* Of a fault that meets the stop, the page stays the program's alone until it unmaps it. */
static vm_fault_t ant_fault(struct vm_fault *vmf)
{
	struct ant_file *file = vmf->vma->vm_file->private_data;
	struct ant_partition *part = file->part;
	bool is_shared = is_shared_area(file, vmf->pgoff), gone = true;
	int ticket;

	if (ant_gate_enter(part, &ticket)) {
		vmf->page = is_shared ? shared_page(part, vmf->pgoff) :
				ant_channel_page(part, &file->executor, vmf->pgoff, &gone);
		ant_gate_leave(ticket);
		if (vmf->page)
			return 0;
	}
	/*
	 * A proxy may be at work on an LCA when that goes: it gets zeros, learns of the end from
	 * its next call, and can say why it ends.
	 */
	if (is_shared || !gone)
		return VM_FAULT_SIGBUS;
	vmf->page = alloc_page(GFP_HIGHUSER | __GFP_ZERO);
	return vmf->page ? 0 : VM_FAULT_OOM;
}

static const struct vm_operations_struct ant_vm_operations = {
	.fault = ant_fault,
};

int ant_mmap(struct file *filp, struct vm_area_struct *vma)
{
	const vm_flags_t set = VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY;
	struct ant_file *file = filp->private_data;
	unsigned long len = vma->vm_end - vma->vm_start;
	bool is_shared = is_shared_area(file, vma->vm_pgoff);

	if (ant_role(file) == ANT_FRESH)
		return -EBADFD;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (is_shared && (vma->vm_pgoff || len > ANT_SHARED_SPAN))
		return -EINVAL;
	if (is_shared && (vma->vm_flags & VM_WRITE))
		return -EPERM;
	/* Which page it may have is seen at the fault. */
	if (!is_shared && len != PAGE_SIZE)
		return -EINVAL;
	ant_vm_flags(vma, set, is_shared ? VM_MAYWRITE : 0);
	vma->vm_ops = &ant_vm_operations;
	return 0;
}
