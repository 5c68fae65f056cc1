// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ant: what a file is, and what one can do with it.
 *
 * A file becomes a control file (CREATE) or a proxy file (BIND) once and stays it; what belongs to
 * it ends with it.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "ant.h"
#include "compat.h"

enum role { FRESH, CONTROL, PROXY };

/* One open file. `part` and `lca` never change once `role` has been published. */
struct ant_file {
	struct mutex lock;		/* serialises what gives the file its role */
	enum role role;
	struct ant_partition *part;
	u64 lca;			/* proxy file: with its generation */
};

static enum role role_of(const struct ant_file *file)
{
	/* Pairs with become(): whoever sees the role sees what it is about. */
	return smp_load_acquire(&file->role);
}

static void become(struct ant_file *file, enum role role, struct ant_partition *part, u64 lca)
{
	file->part = part;
	file->lca = lca;
	/* Pairs with role_of(). */
	smp_store_release(&file->role, role);
}

static int ant_open(struct inode *inode, struct file *filp)
{
	struct ant_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	filp->private_data = file;
	return nonseekable_open(inode, filp);
}

static int ant_release(struct inode *inode, struct file *filp)
{
	struct ant_file *file = filp->private_data;

	if (file->role == CONTROL)
		ant_partition_stop(file->part);
	if (file->part)
		ant_partition_put(file->part);
	kfree(file);
	return 0;
}

static long ioctl_info(void __user *arg)
{
	struct ant_module_info info = {
		.revision = ANT_REVISION,
		.max_cores = ANT_MAX_CORES,
		.partitions = ant_partition_count(),
	};

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int create(struct ant_file *file, struct file *filp, struct ant_partition_create *req)
{
	struct ant_partition *part;

	if (file->role != FRESH)
		return -EBADFD;
	part = ant_partition_create(req, filp->f_mapping);
	if (IS_ERR(part))
		return PTR_ERR(part);
	req->partition = part->id;
	become(file, CONTROL, part, 0);
	return 0;
}

static long ioctl_create(struct ant_file *file, struct file *filp, void __user *arg)
{
	struct ant_partition_create req;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	req.partition = 0;
	ant_fail(&req, ANT_FAILURE_NONE, 0, 0);
	err = mutex_lock_killable(&file->lock);
	if (err)
		return err;
	err = create(file, filp, &req);
	mutex_unlock(&file->lock);
	/* On failure, too: it says which core or how much memory. */
	if (copy_to_user(arg, &req, sizeof(req)))
		return -EFAULT;
	return err;
}

static int bind(struct ant_file *file, struct file *filp, struct ant_partition *part, u64 lca)
{
	int ticket, err = 0;

	if (file->role != FRESH)
		return -EBADFD;
	/* Another device node has another mapping, in which the stop would not look. */
	if (filp->f_mapping != part->mapping)
		return -EXDEV;
	if (!ant_gate_enter(part, &ticket))
		return -ENODEV;
	if ((lca & ANT_ENTRY_KIND_MASK) || !ant_memory_is_lca(part, ant_raddr(lca)))
		err = -EINVAL;
	ant_gate_leave(ticket);
	if (!err)
		become(file, PROXY, part, lca);
	return err;
}

static long ioctl_bind(struct ant_file *file, struct file *filp, void __user *arg)
{
	struct ant_partition *part;
	struct ant_proxy_bind req;
	int err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.reserved)
		return -EINVAL;
	part = ant_partition_find(req.partition);
	if (!part)
		return -ENODEV;
	err = mutex_lock_killable(&file->lock);
	if (!err) {
		err = bind(file, filp, part, req.lca);
		mutex_unlock(&file->lock);
	}
	if (err)
		ant_partition_put(part);
	return err;
}

static int load(struct ant_partition *part, const struct ant_image_load *req)
{
	if (part->stopped)
		return -ENODEV;
	if (part->loaded)
		return -EBUSY;
	if (req->len > ANT_SHARED_OFFSET || req->offset > ANT_SHARED_OFFSET - req->len)
		return -EINVAL;
	if (copy_from_user(phys_to_virt(part->image + req->offset), u64_to_user_ptr(req->source),
			   req->len))
		return -EFAULT;
	return 0;
}

static long ioctl_load(struct ant_partition *part, void __user *arg)
{
	struct ant_image_load req;
	int err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	err = mutex_lock_killable(&part->lock);
	if (err)
		return err;
	err = load(part, &req);
	mutex_unlock(&part->lock);
	return err;
}

static long ioctl_start(struct ant_partition *part, void __user *arg)
{
	struct ant_core_start req;
	int err;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	err = mutex_lock_killable(&part->lock);
	if (err)
		return err;
	err = part->stopped ? -ENODEV : ant_core_start(part, &req);
	mutex_unlock(&part->lock);
	return err;
}

static long ioctl_kick(struct ant_partition *part, void __user *arg)
{
	struct ant_core_kick req;
	int ticket;
	bool rings;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.reserved || req.core >= part->core_count)
		return -EINVAL;
	if (!ant_gate_enter(part, &ticket))
		return -ENODEV;
	rings = READ_ONCE(part->cores[req.core].started);
	if (rings)
		ant_core_ring(&part->cores[req.core]);
	ant_gate_leave(ticket);
	return rings ? 0 : -EINVAL;
}

/* 0, -EAGAIN or -ENODEV. */
static int try_get(struct ant_partition *part, u64 *lca)
{
	int ticket, err;

	if (!ant_gate_enter(part, &ticket))
		return -ENODEV;
	err = ant_requests_take(part, lca) ? 0 : -EAGAIN;
	ant_gate_leave(ticket);
	return err;
}

static int wait_get(struct ant_partition *part, u64 *lca)
{
	int err;
	int interrupted = wait_event_interruptible(part->wait,
						   (err = try_get(part, lca)) != -EAGAIN);

	return interrupted ? interrupted : err;
}

static long ioctl_get(struct ant_partition *part, struct file *filp, void __user *arg)
{
	struct ant_call_get got;
	int err;

	/* A request that was taken must not be lost to a bad address. */
	if (clear_user(arg, sizeof(got)))
		return -EFAULT;
	err = filp->f_flags & O_NONBLOCK ? try_get(part, &got.lca) : wait_get(part, &got.lca);
	if (err)
		return err;
	return copy_to_user(arg, &got, sizeof(got)) ? -EFAULT : 0;
}

static long put_return(struct ant_partition *part, const struct ant_call_ret *ret, u64 kind)
{
	int ticket, err;

	if (!ant_gate_enter(part, &ticket))
		return -ENODEV;
	err = ant_return_put(part, ret, kind);
	ant_gate_leave(ticket);
	return err;
}

static long ioctl_ret(struct ant_file *file, void __user *arg)
{
	struct ant_call_ret ret;

	if (copy_from_user(&ret, arg, sizeof(ret)))
		return -EFAULT;
	if (role_of(file) == PROXY && ret.lca != file->lca)
		return -EPERM;
	return put_return(file->part, &ret, ANT_KIND_CALL);
}

static long ioctl_release(struct ant_partition *part, void __user *arg)
{
	struct ant_call_ret ret;

	if (copy_from_user(&ret, arg, sizeof(ret)))
		return -EFAULT;
	return put_return(part, &ret, ANT_KIND_RELEASED);
}

static long control_ioctl(struct ant_file *file, struct file *filp, unsigned int request,
			  void __user *arg)
{
	switch (request) {
	case ANT_LOAD:
		return ioctl_load(file->part, arg);
	case ANT_START:
		return ioctl_start(file->part, arg);
	case ANT_STOP:
		return ant_partition_stop(file->part);
	case ANT_KICK:
		return ioctl_kick(file->part, arg);
	case ANT_GET:
		return ioctl_get(file->part, filp, arg);
	case ANT_RELEASE:
		return ioctl_release(file->part, arg);
	}
	return -ENOTTY;
}

static long ant_ioctl(struct file *filp, unsigned int request, unsigned long arg)
{
	struct ant_file *file = filp->private_data;
	void __user *ptr = (void __user *)arg;

	switch (request) {
	case ANT_INFO:
		return ioctl_info(ptr);
	case ANT_CREATE:
		return ioctl_create(file, filp, ptr);
	case ANT_BIND:
		return ioctl_bind(file, filp, ptr);
	case ANT_RET:
		return role_of(file) == FRESH ? -EBADFD : ioctl_ret(file, ptr);
	case ANT_LOAD:
	case ANT_START:
	case ANT_STOP:
	case ANT_KICK:
	case ANT_GET:
	case ANT_RELEASE:
		if (role_of(file) != CONTROL)
			return -EBADFD;
		return control_ioctl(file, filp, request, ptr);
	}
	return -ENOTTY;
}

static bool any_panicked(const struct ant_partition *part)
{
	u32 i;

	for (i = 0; i < part->core_count; i++)
		if (READ_ONCE(part->cores[i].control->state) == ANT_CORE_PANICKED)
			return true;
	return false;
}

/* Of a proxy file only the end can be waited for. */
static __poll_t ant_poll(struct file *filp, poll_table *wait)
{
	struct ant_file *file = filp->private_data;
	enum role role = role_of(file);
	__poll_t events = 0;
	int ticket;

	if (role == FRESH)
		return EPOLLERR;
	poll_wait(filp, &file->part->wait, wait);
	if (!ant_gate_enter(file->part, &ticket))
		return EPOLLHUP | EPOLLERR;
	if (role == CONTROL && ant_requests_waiting(file->part))
		events |= EPOLLIN | EPOLLRDNORM;
	if (role == CONTROL && any_panicked(file->part))
		events |= EPOLLPRI;
	ant_gate_leave(ticket);
	return events;
}

/* Inside the gate, so that no page appears that the stop has zapped. */
static vm_fault_t ant_fault(struct vm_fault *vmf)
{
	struct ant_file *file = vmf->vma->vm_file->private_data;
	struct ant_partition *part = file->part;
	unsigned long pfn = vmf->pgoff;
	vm_fault_t ret;
	int ticket;

	if (!ant_gate_enter(part, &ticket))
		return VM_FAULT_SIGBUS;
	if (file->role == CONTROL)
		pfn += PHYS_PFN(part->image + ANT_SHARED_OFFSET);
	ret = vmf_insert_pfn(vmf->vma, vmf->address, pfn);
	ant_gate_leave(ticket);
	return ret;
}

static const struct vm_operations_struct ant_vm_operations = {
	.fault = ant_fault,
};

static int ant_mmap(struct file *filp, struct vm_area_struct *vma)
{
	const vm_flags_t set = VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY;
	struct ant_file *file = filp->private_data;
	enum role role = role_of(file);
	unsigned long len = vma->vm_end - vma->vm_start;

	if (role == FRESH)
		return -EBADFD;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (role == PROXY) {
		if (len != PAGE_SIZE || vma->vm_pgoff != PHYS_PFN(ant_raddr(file->lca)))
			return -EINVAL;
	} else {
		if (len > ANT_SHARED_SPAN || vma->vm_pgoff)
			return -EINVAL;
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
	}
	ant_vm_flags(vma, set, role == CONTROL ? VM_MAYWRITE : 0);
	vma->vm_ops = &ant_vm_operations;
	return 0;
}

const struct file_operations ant_file_operations = {
	.owner = THIS_MODULE,
	.open = ant_open,
	.release = ant_release,
	.unlocked_ioctl = ant_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = ant_poll,
	.mmap = ant_mmap,
};
