// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels: one LCA each, and the protocol on it; the machine is that of logic/src/channel.rs.
 *
 * A channel is bound to a file, which serves it: its process takes the requests, returns them,
 * and may map the page from the first request on. So may a proxy, which has a file of its own. A
 * user's program controls its proxy, so nothing that it does decides when AnT uses the page
 * again: that is the close, by the control file.
 *
 * The doorbell's handler posts requests, so everything here is under the partition's channels_lock
 * with interrupts off. A channel that is bound is found by its page, in the xarray.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <asm/msr.h>

#include "ant.h"

static unsigned long key(u64 lca)
{
	return PHYS_PFN(ant_raddr(lca));
}

/* The channel of this LCA and no other generation of it; NULL if there is none. Under the lock. */
static struct ant_channel *find(struct ant_partition *part, u64 lca)
{
	struct ant_channel *channel = xa_load(&part->channels, key(lca));

	return channel && channel->lca == lca ? channel : NULL;
}

/* A proxy's file serves a channel beside the file that takes the requests. */
static bool serves(const struct ant_executor *executor, const struct ant_channel *channel)
{
	return channel->executor == executor || channel->serial == executor->proxy_of;
}

static struct ant_channel *find_of(struct ant_partition *part, const struct ant_executor *executor,
				   u64 lca)
{
	struct ant_channel *channel = find(part, lca);

	return channel && serves(executor, channel) ? channel : NULL;
}

void ant_executor_init(struct ant_executor *executor)
{
	init_waitqueue_head(&executor->wait);
	INIT_LIST_HEAD(&executor->channels);
	INIT_LIST_HEAD(&executor->posted);
}

/* Under the lock. No executor takes what is posted then. */
static void detach(struct ant_channel *channel)
{
	list_del_init(&channel->node);
	list_del_init(&channel->posted);
	channel->executor = NULL;
}

void ant_executor_close(struct ant_partition *part, struct ant_executor *executor)
{
	struct ant_channel *channel, *next;
	unsigned long flags;

	spin_lock_irqsave(&part->channels_lock, flags);
	list_for_each_entry_safe(channel, next, &executor->channels, node)
		detach(channel);
	spin_unlock_irqrestore(&part->channels_lock, flags);
}

/* The channel of an LCA, a new one if there is none; NULL if there can be none. */
static struct ant_channel *find_or_make(struct ant_partition *part, u64 lca)
{
	struct ant_channel *channel;

	channel = xa_load(&part->channels, key(lca));
	if (channel)
		return channel->lca == lca ? channel : NULL;
	if ((lca & ANT_ENTRY_KIND_MASK) || !ant_memory_is_lca(part, ant_raddr(lca)) ||
	    part->channel_count >= part->table_sizes.lcas)
		return NULL;
	channel = kzalloc(sizeof(*channel), GFP_ATOMIC);
	if (!channel)
		return NULL;
	channel->lca = lca;
	channel->serial = ++part->channel_serial;
	INIT_LIST_HEAD(&channel->node);
	INIT_LIST_HEAD(&channel->posted);
	if (xa_insert(&part->channels, key(lca), channel, GFP_ATOMIC)) {
		kfree(channel);
		return NULL;
	}
	part->channel_count++;
	return channel;
}

static void offer(struct ant_channel *channel)
{
	list_add_tail(&channel->posted, &channel->executor->posted);
	wake_up_interruptible_poll(&channel->executor->wait, EPOLLIN);
}

/* Under the lock. */
static int bind(struct ant_partition *part, struct ant_executor *executor, u64 lca)
{
	struct ant_channel *channel = find_or_make(part, lca);

	if (!channel || channel->state == ANT_CHANNEL_CLOSED)
		return -EINVAL;
	if (channel->executor) {
		if (!list_empty(&executor->channels) || executor->proxy_of)
			return -EEXIST;
		executor->proxy_of = channel->serial;
		return 0;
	}
	channel->executor = executor;
	list_add(&channel->node, &executor->channels);
	if (channel->state == ANT_CHANNEL_POSTED)
		offer(channel);
	return 0;
}

/* Inside the gate. */
int ant_channel_bind(struct ant_partition *part, struct ant_executor *executor, u64 lca)
{
	unsigned long flags;
	int err;

	spin_lock_irqsave(&part->channels_lock, flags);
	err = bind(part, executor, lca);
	spin_unlock_irqrestore(&part->channels_lock, flags);
	return err;
}

/*
 * A CPU has sent a request, perhaps before a file serves the channel. False if it can be no
 * channel's. Under the lock.
 */
bool ant_channel_post(struct ant_cpu *cpu, u64 lca)
{
	struct ant_channel *channel = find_or_make(cpu->part, lca);

	if (!channel || (channel->state != ANT_CHANNEL_UNMAPPED &&
			 channel->state != ANT_CHANNEL_RETURNED))
		return false;
	channel->state = ANT_CHANNEL_POSTED;
	channel->cpu = cpu->index;
	if (channel->executor)
		offer(channel);
	return true;
}

static struct ant_lca *traced(u64 entry)
{
	struct ant_lca *lca = phys_to_virt(ant_raddr(entry));

	return READ_ONCE(lca->cflag) & ANT_CFLAG_TRACE ? lca : NULL;
}

static void stamp(struct ant_lca *lca, int step, u64 tsc, u32 cpu, u32 pid)
{
	lca->stamps[step] = (struct ant_stamp){ .tsc = tsc, .cpu = cpu, .pid = pid };
}

/* Under the lock, and the channel is open: the page is the process's, whatever becomes of that. */
static void trace_get(const struct ant_cpu *cpu, u64 entry)
{
	struct ant_lca *lca = traced(entry);

	if (!lca)
		return;
	stamp(lca, ANT_STEP_LINUX_DOORBELL, READ_ONCE(cpu->doorbell_tsc),
	      READ_ONCE(cpu->doorbell_cpu), 0);
	stamp(lca, ANT_STEP_PARENT_GETS, rdtsc_ordered(), raw_smp_processor_id(),
	      task_tgid_nr(current));
}

static void trace_return(u64 entry)
{
	struct ant_lca *lca = traced(entry);

	if (lca)
		stamp(lca, ANT_STEP_LINUX_RETURNS, rdtsc_ordered(), raw_smp_processor_id(),
		      task_tgid_nr(current));
}

bool ant_executor_has_requests(const struct ant_executor *executor)
{
	return !list_empty_careful(&executor->posted);
}

/* 0, -EAGAIN, or -ESHUTDOWN if the executor has no channel. Inside the gate. */
int ant_executor_take(struct ant_partition *part, struct ant_executor *executor, u64 *lca)
{
	struct ant_channel *channel;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&part->channels_lock, flags);
	channel = list_first_entry_or_null(&executor->posted, struct ant_channel, posted);
	if (channel) {
		list_del_init(&channel->posted);
		channel->state = ANT_CHANNEL_GIVEN;
		*lca = channel->lca;
		trace_get(&part->cpus[channel->cpu], channel->lca);
	} else {
		err = list_empty(&executor->channels) ? -ESHUTDOWN : -EAGAIN;
	}
	spin_unlock_irqrestore(&part->channels_lock, flags);
	return err;
}

/* Inside the gate. */
int ant_executor_return(struct ant_partition *part, struct ant_executor *executor, u64 lca, u32 cid)
{
	struct ant_channel *channel;
	unsigned long flags;
	int err = -ENOENT;

	spin_lock_irqsave(&part->channels_lock, flags);
	channel = find_of(part, executor, lca);
	if (channel && channel->state == ANT_CHANNEL_GIVEN && channel->cpu == cid) {
		/* Before the entry: with it the page is AnT's. */
		trace_return(lca);
		err = ant_return_put(&part->cpus[cid], lca, ANT_KIND_CALL);
		if (!err)
			channel->state = ANT_CHANNEL_RETURNED;
	}
	spin_unlock_irqrestore(&part->channels_lock, flags);
	return err;
}

static void zap(struct ant_partition *part, u64 lca)
{
	unmap_mapping_range(part->mapping, ant_raddr(lca), PAGE_SIZE, 1);
}

/* After a call without continuation: the page is mapped afresh for the next. Inside the gate. */
int ant_executor_release(struct ant_partition *part, struct ant_executor *executor, u64 lca)
{
	struct ant_channel *channel;
	unsigned long flags;
	int err = -ENOENT;

	spin_lock_irqsave(&part->channels_lock, flags);
	channel = find_of(part, executor, lca);
	if (channel && channel->state == ANT_CHANNEL_RETURNED) {
		channel->state = ANT_CHANNEL_UNMAPPED;
		err = 0;
	}
	spin_unlock_irqrestore(&part->channels_lock, flags);
	if (err)
		return err;
	zap(part, lca);
	spin_lock_irqsave(&part->channels_lock, flags);
	err = ant_return_put(&part->cpus[0], lca, ANT_KIND_RELEASED);
	spin_unlock_irqrestore(&part->channels_lock, flags);
	return err;
}

/* From here on no process gets the page, and no request is taken. */
static void close_begin(struct ant_partition *part, u64 lca)
{
	struct ant_executor *executor;
	struct ant_channel *channel;
	unsigned long flags;

	spin_lock_irqsave(&part->channels_lock, flags);
	channel = find(part, lca);
	if (channel) {
		channel->state = ANT_CHANNEL_CLOSED;
		executor = channel->executor;
		detach(channel);
		if (executor)
			wake_up_interruptible_poll(&executor->wait, EPOLLIN | EPOLLHUP);
	}
	spin_unlock_irqrestore(&part->channels_lock, flags);
}

/* Tells AnT, which uses the page again; of a channel that could not be bound, too. */
static int close_end(struct ant_partition *part, u64 lca)
{
	struct ant_channel *channel;
	unsigned long flags;
	int err;

	spin_lock_irqsave(&part->channels_lock, flags);
	channel = find(part, lca);
	err = ant_return_put(&part->cpus[0], lca, ANT_KIND_CLOSED);
	if (!err && channel) {
		xa_erase(&part->channels, key(lca));
		part->channel_count--;
	}
	spin_unlock_irqrestore(&part->channels_lock, flags);
	if (!err)
		kfree(channel);
	return err;
}

/*
 * Closes a channel for good. -EBUSY as long as Linux has a reference to the page: a fault that was
 * under way, or I/O that pins it; again, then. Inside the gate.
 */
int ant_channel_close(struct ant_partition *part, u64 lca)
{
	const struct page *page = pfn_to_page(key(lca));

	if (!READ_ONCE(part->cpus[0].started) || !ant_memory_is_lca(part, ant_raddr(lca)))
		return -EINVAL;
	close_begin(part, lca);
	if (page_count(page) != 1)
		zap(part, lca);
	return page_count(page) == 1 ? close_end(part, lca) : -EBUSY;
}

/*
 * The page of a channel for a process that has the executor's file, with a reference; NULL if it
 * may not have it now. @gone: it never will.
 */
struct page *ant_channel_page(struct ant_partition *part, const struct ant_executor *executor,
			      unsigned long pfn, bool *gone)
{
	struct ant_channel *channel;
	struct page *page = NULL;
	unsigned long flags;

	spin_lock_irqsave(&part->channels_lock, flags);
	channel = xa_load(&part->channels, pfn);
	*gone = !channel || !serves(executor, channel);
	/* Under the lock: a close that comes afterwards sees the reference. */
	if (!*gone && channel->state != ANT_CHANNEL_UNMAPPED) {
		page = pfn_to_page(pfn);
		get_page(page);
	}
	spin_unlock_irqrestore(&part->channels_lock, flags);
	return page;
}

/* The partition stops: each process that waits for a request is told. */
void ant_channels_wake(struct ant_partition *part)
{
	struct ant_channel *channel;
	unsigned long index, flags;

	spin_lock_irqsave(&part->channels_lock, flags);
	xa_for_each(&part->channels, index, channel)
		if (channel->executor)
			wake_up_interruptible_poll(&channel->executor->wait, EPOLLIN | EPOLLHUP);
	spin_unlock_irqrestore(&part->channels_lock, flags);
}

/* No doorbell rings any more, and the gate is shut. */
void ant_channels_free(struct ant_partition *part)
{
	struct ant_channel *channel;
	unsigned long index, flags;

	xa_for_each(&part->channels, index, channel) {
		spin_lock_irqsave(&part->channels_lock, flags);
		detach(channel);
		spin_unlock_irqrestore(&part->channels_lock, flags);
		kfree(channel);
	}
	xa_destroy(&part->channels);
}
