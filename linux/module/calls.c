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

long ant_ioctl_get(struct ant_partition *part, struct file *filp, void __user *arg)
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

long ant_ioctl_ret(struct ant_file *file, void __user *arg)
{
	struct ant_call_ret ret;
	int ticket, err;

	if (copy_from_user(&ret, arg, sizeof(ret)))
		return -EFAULT;
	if (ret.reserved)
		return -EINVAL;
	if (ant_role(file) == ANT_PROXY && ret.lca != file->lca)
		return -EPERM;
	if (READ_ONCE(file->revoked))
		return -EBADFD;
	if (!ant_gate_enter(file->part, &ticket))
		return -ENODEV;
	err = ant_result_put(file->part, ret.lca, ret.cid);
	ant_gate_leave(ticket);
	return err;
}

long ant_ioctl_release(struct ant_partition *part, void __user *arg)
{
	struct ant_lca_release release;
	int ticket, err;

	if (copy_from_user(&release, arg, sizeof(release)))
		return -EFAULT;
	if (release.kind != ANT_KIND_RELEASED && release.kind != ANT_KIND_DIED)
		return -EINVAL;
	if (!ant_gate_enter(part, &ticket))
		return -ENODEV;
	err = ant_release_put(part, release.lca, release.kind);
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

/* Of a proxy file only the end can be waited for. */
__poll_t ant_poll(struct file *filp, poll_table *wait)
{
	struct ant_file *file = filp->private_data;
	enum ant_role role = ant_role(file);
	__poll_t events = 0;
	int ticket;

	if (role == ANT_FRESH)
		return EPOLLERR;
	poll_wait(filp, &file->part->wait, wait);
	if (!ant_gate_enter(file->part, &ticket))
		return EPOLLHUP | EPOLLERR;
	if (role == ANT_CONTROL && ant_requests_waiting(file->part))
		events |= EPOLLIN | EPOLLRDNORM;
	if (role == ANT_CONTROL && any_panicked(file->part))
		events |= EPOLLPRI;
	ant_gate_leave(ticket);
	return events;
}
