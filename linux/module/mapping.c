// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings: the shared area for the control file (to look at), one LCA for a proxy file.
 *
 * Pages come by faults, as ordinary pages: a system call may pin an LCA's buffer as it may any
 * user's (direct I/O, 9p). So the stop drops only the module's own references (memory.c), and an
 * LCA is given back to AnT only when Linux has none: a program controls its proxy, and may have
 * passed the proxy's file or mapping on to a process that outlives it.
 */
#include <linux/fs.h>
#include <linux/mm.h>

#include "ant.h"
#include "compat.h"

void ant_proxy_add(struct ant_file *file, struct ant_partition *part, u64 lca)
{
	file->lca = lca;
	spin_lock(&part->proxy_lock);
	list_add(&file->node, &part->proxies);
	spin_unlock(&part->proxy_lock);
}

void ant_proxy_remove(struct ant_file *file)
{
	spin_lock(&file->part->proxy_lock);
	list_del(&file->node);
	spin_unlock(&file->part->proxy_lock);
}

/*
 * Takes the LCA away from every proxy file that has it. -EBUSY as long as Linux has a reference to
 * the page: a fault that was under way, or I/O that pins it.
 */
int ant_lca_revoke(struct ant_partition *part, u64 lca)
{
	const struct page *page = pfn_to_page(PHYS_PFN(ant_raddr(lca)));
	struct ant_file *file;

	spin_lock(&part->proxy_lock);
	list_for_each_entry(file, &part->proxies, node)
		if (file->lca == lca)
			WRITE_ONCE(file->revoked, true);
	spin_unlock(&part->proxy_lock);
	if (page_count(page) != 1)
		unmap_mapping_range(part->mapping, ant_raddr(lca), PAGE_SIZE, 1);
	return page_count(page) == 1 ? 0 : -EBUSY;
}

/* The page with a reference, unless it was taken away. */
static struct page *page_of(struct ant_file *file, unsigned long offset)
{
	struct ant_partition *part = file->part;
	struct page *page = NULL;

	if (file->role == ANT_CONTROL)
		offset += PHYS_PFN(part->image + ANT_SHARED_OFFSET);
	/* Under the lock: a revocation that comes afterwards sees the reference. */
	spin_lock(&part->proxy_lock);
	if (!file->revoked) {
		page = pfn_to_page(offset);
		get_page(page);
	}
	spin_unlock(&part->proxy_lock);
	return page;
}

/* Of a fault that meets the stop, the page stays the program's alone until it unmaps it. */
static vm_fault_t ant_fault(struct vm_fault *vmf)
{
	struct ant_file *file = vmf->vma->vm_file->private_data;
	struct ant_partition *part = file->part;
	int ticket;

	if (!ant_gate_enter(part, &ticket))
		return VM_FAULT_SIGBUS;
	vmf->page = page_of(file, vmf->pgoff);
	ant_gate_leave(ticket);
	return vmf->page ? 0 : VM_FAULT_SIGBUS;
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
