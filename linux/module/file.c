// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ant: what a file is, and what one can do with it.
 *
 * A file becomes a control file (CREATE) or a channel file (BIND) once and stays it; what belongs
 * to it ends with it.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "ant.h"

static void become(struct ant_file *file, enum ant_role role, struct ant_partition *part)
{
	file->part = part;
	/* Pairs with ant_role(). */
	smp_store_release(&file->role, role);
}

static int ant_open(struct inode *inode, struct file *filp)
{
	struct ant_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	ant_executor_init(&file->executor);
	filp->private_data = file;
	return nonseekable_open(inode, filp);
}

static int ant_release(struct inode *inode, struct file *filp)
{
	struct ant_file *file = filp->private_data;

	if (file->role == ANT_CONTROL)
		ant_partition_stop(file->part);
	if (file->part) {
		ant_executor_close(file->part, &file->executor);
		ant_partition_put(file->part);
	}
	kfree(file);
	return 0;
}

static long ioctl_info(void __user *arg)
{
	struct ant_module_info info = {
		.revision = ANT_REVISION,
		.max_cpus = ANT_MAX_CPUS,
		.partitions = ant_partition_count(),
	};

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int create(struct ant_file *file, struct file *filp, struct ant_partition_create *req)
{
	struct ant_partition *part;

	if (file->role != ANT_FRESH)
		return -EBADFD;
	part = ant_partition_create(req, filp->f_mapping);
	if (IS_ERR(part))
		return PTR_ERR(part);
	req->partition = part->id;
	become(file, ANT_CONTROL, part);
	return 0;
}

static long ioctl_create(struct ant_file *file, struct file *filp, void __user *arg)
{
	struct ant_partition_create req;
	int err;

	/* What LOAD and START run is kernel code, as a module and kexec's kernel are. */
	if (!capable(CAP_SYS_ADMIN) || !capable(CAP_SYS_MODULE))
		return -EPERM;
	err = security_locked_down(LOCKDOWN_KEXEC);
	if (err)
		return err;
	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	req.partition = 0;
	ant_fail(&req, ANT_FAILURE_NONE, 0, 0);
	err = mutex_lock_killable(&file->lock);
	if (err)
		return err;
	err = create(file, filp, &req);
	mutex_unlock(&file->lock);
	/* On failure, too: it says which CPU or how much memory. */
	if (copy_to_user(arg, &req, sizeof(req)))
		return -EFAULT;
	return err;
}

/* With a reference to the partition, which a fresh file keeps. */
static int bind(struct ant_file *file, struct file *filp, struct ant_partition *part, u64 lca)
{
	int ticket, err;

	/* Another device node has another mapping, in which the stop would not look. */
	if (filp->f_mapping != part->mapping)
		return -EXDEV;
	if (file->role != ANT_FRESH && file->part != part)
		return -EBADFD;
	if (!ant_gate_enter(part, &ticket))
		return -ENODEV;
	err = ant_channel_bind(part, &file->executor, lca);
	ant_gate_leave(ticket);
	if (err)
		return err;
	if (file->role == ANT_FRESH) {
		kref_get(&part->ref);
		become(file, ANT_CHANNELS, part);
	}
	return 0;
}

static long ioctl_bind(struct ant_file *file, struct file *filp, void __user *arg)
{
	struct ant_partition *part;
	struct ant_channel_bind req;
	int err;

	/* A user may have a file that is bound already. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
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
	ant_partition_put(part);
	return err;
}

/* What an ioctl that runs under the partition's lock gets. */
union locked_request {
	struct ant_memory_load load;
	struct ant_cpu_start start;
	struct ant_device_take device;
};

static int load(struct ant_partition *part, union locked_request *req)
{
	const struct ant_memory_load *what = &req->load;
	bool bundle = what->target == ANT_LOAD_BUNDLE;
	u64 span = bundle ? ANT_BUNDLE_SPAN : ANT_SHARED_OFFSET;
	phys_addr_t start = bundle ? part->bundle : part->image;

	if (part->loaded)
		return -EBUSY;
	if (what->reserved || (!bundle && what->target != ANT_LOAD_IMAGE) ||
	    what->len > span || what->offset > span - what->len)
		return -EINVAL;
	if (copy_from_user(phys_to_virt(start + what->offset), u64_to_user_ptr(what->source),
			   what->len))
		return -EFAULT;
	if (bundle)
		ant_boot_bundle(part, what->offset + what->len);
	return 0;
}

static int start(struct ant_partition *part, union locked_request *req)
{
	return ant_cpu_start(part, &req->start);
}

static int take_device(struct ant_partition *part, union locked_request *req)
{
	return ant_device_take(part, &req->device);
}

/* Under the lock the partition does not stop. */
static long ioctl_locked(struct ant_partition *part, unsigned int request, void __user *arg,
			 int (*run)(struct ant_partition *part, union locked_request *req))
{
	union locked_request req;
	int err;

	if (copy_from_user(&req, arg, _IOC_SIZE(request)))
		return -EFAULT;
	err = mutex_lock_killable(&part->lock);
	if (err)
		return err;
	err = part->stopped ? -ENODEV : run(part, &req);
	mutex_unlock(&part->lock);
	if (!err && (_IOC_DIR(request) & _IOC_READ) && copy_to_user(arg, &req, _IOC_SIZE(request)))
		return -EFAULT;
	return err;
}

static long control_ioctl(struct ant_file *file, struct file *filp, unsigned int request,
			  void __user *arg)
{
	switch (request) {
	case ANT_LOAD:
		return ioctl_locked(file->part, request, arg, load);
	case ANT_START:
		return ioctl_locked(file->part, request, arg, start);
	case ANT_DEVICE_TAKE:
		return ioctl_locked(file->part, request, arg, take_device);
	case ANT_STOP:
		return ant_partition_stop(file->part);
	case ANT_KICK:
		return ant_ioctl_kick(file->part, arg);
	}
	return -ENOTTY;
}

static long channel_ioctl(struct ant_file *file, struct file *filp, unsigned int request,
			  void __user *arg)
{
	switch (request) {
	case ANT_GET:
		return ant_ioctl_get(file, filp, arg);
	case ANT_RET:
		return ant_ioctl_ret(file, arg);
	case ANT_RELEASE:
		return ant_ioctl_release(file, arg);
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
	case ANT_GET:
	case ANT_RET:
	case ANT_RELEASE:
		if (ant_role(file) == ANT_FRESH)
			return -EBADFD;
		return channel_ioctl(file, filp, request, ptr);
	case ANT_LOAD:
	case ANT_START:
	case ANT_DEVICE_TAKE:
	case ANT_STOP:
	case ANT_KICK:
		if (ant_role(file) != ANT_CONTROL)
			return -EBADFD;
		return control_ioctl(file, filp, request, ptr);
	}
	return -ENOTTY;
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
