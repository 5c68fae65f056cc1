// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls as a program sees them: wait for a request, give a result back, ring a CPU.
 *
 * Everything that touches the partition happens inside the gate, which is left before sleeping.
 */
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "ant.h"

/* 0, -EAGAIN, -ESHUTDOWN or -ENODEV. */
static int try_get(struct ant_file *file, u64 *lca)
{
	int ticket, err;

	if (!ant_gate_enter(file->part, &ticket))
		return -ENODEV;
	err = ant_executor_take(file->part, &file->executor, lca);
	ant_gate_leave(ticket);
	return err;
}

static int wait_get(struct ant_file *file, u64 *lca)
{
	int err;
	int interrupted = wait_event_interruptible(file->executor.wait,
						   (err = try_get(file, lca)) != -EAGAIN);

	return interrupted ? interrupted : err;
}

long ant_ioctl_get(struct ant_file *file, struct file *filp, void __user *arg)
{
	struct ant_call_get got;
	int err;

	/* A request that was taken must not be lost to a bad address. */
	if (clear_user(arg, sizeof(got)))
		return -EFAULT;
	err = filp->f_flags & O_NONBLOCK ? try_get(file, &got.lca) : wait_get(file, &got.lca);
	if (err)
		return err;
	return copy_to_user(arg, &got, sizeof(got)) ? -EFAULT : 0;
}

long ant_ioctl_ret(struct ant_file *file, void __user *arg)
{
	struct ant_call_ret ret;
	int ticket, err;

	if (copy_from_user(&ret, arg, sizeof(ret)))
		return -EFAULT;
	if (ret.reserved)
		return -EINVAL;
	if (!ant_gate_enter(file->part, &ticket))
		return -ENODEV;
	err = ant_executor_return(file->part, &file->executor, ret.lca, ret.cid);
	ant_gate_leave(ticket);
	return err;
}

long ant_ioctl_release(struct ant_file *file, void __user *arg)
{
	struct ant_lca_release release;
	int ticket, err = -EINVAL;

	if (copy_from_user(&release, arg, sizeof(release)))
		return -EFAULT;
	if (release.lca & ANT_ENTRY_KIND_MASK)
		return -EINVAL;
	if (release.kind == ANT_KIND_CLOSED && ant_role(file) != ANT_CONTROL)
		return -EPERM;
	if (!ant_gate_enter(file->part, &ticket))
		return -ENODEV;
	if (release.kind == ANT_KIND_RELEASED)
		err = ant_executor_release(file->part, &file->executor, release.lca);
	else if (release.kind == ANT_KIND_CLOSED)
		err = ant_channel_close(file->part, release.lca);
	ant_gate_leave(ticket);
	return err;
}

long ant_ioctl_kick(struct ant_partition *part, void __user *arg)
{
	struct ant_cpu_kick req;
	int ticket;
	bool rings;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.reserved || req.cpu >= part->cpu_count)
		return -EINVAL;
	if (!ant_gate_enter(part, &ticket))
		return -ENODEV;
	rings = READ_ONCE(part->cpus[req.cpu].started);
	if (rings)
		ant_cpu_ring(&part->cpus[req.cpu]);
	ant_gate_leave(ticket);
	return rings ? 0 : -EINVAL;
}

static bool any_panicked(const struct ant_partition *part)
{
	u32 i;

	for (i = 0; i < part->cpu_count; i++)
		if (READ_ONCE(part->cpus[i].control->state) == ANT_CPU_PANICKED)
			return true;
	return false;
}

/* A request, or the end; of the control file also that AnT has panicked. */
__poll_t ant_poll(struct file *filp, poll_table *wait)
{
	struct ant_file *file = filp->private_data;
	enum ant_role role = ant_role(file);
	__poll_t events = 0;
	int ticket;

	if (role == ANT_FRESH)
		return EPOLLERR;
	poll_wait(filp, &file->executor.wait, wait);
	poll_wait(filp, &file->part->wait, wait);
	if (!ant_gate_enter(file->part, &ticket))
		return EPOLLHUP | EPOLLERR;
	if (ant_executor_has_requests(&file->executor))
		events |= EPOLLIN | EPOLLRDNORM;
	if (role == ANT_CONTROL && any_panicked(file->part))
		events |= EPOLLPRI;
	ant_gate_leave(ticket);
	return events;
}
