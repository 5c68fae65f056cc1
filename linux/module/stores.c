// SPDX-License-Identifier: GPL-2.0-only
/*
 * The address stores: rings through which AnT hands LCAs to Linux and Linux hands them back.
 *
 * Each counter has one writer; Linux's is the one that has the partition's channels_lock. Linux
 * keeps its own counters here and only publishes them, so what AnT writes over them changes
 * nothing; what AnT counts is checked before it is used. An IPI says "look"; what there is to see
 * is in the stores.
 */
#include <linux/printk.h>
#include <linux/spinlock.h>
#include <asm/barrier.h>

#include "ant.h"

/* Takes the oldest entry. */
static bool store_take(struct ant_cpu *cpu, u64 *entry)
{
	struct ant_address_store *store = cpu->request;
	/* Pairs with AnT's release: what it counts is there. */
	u32 tail = smp_load_acquire(&store->tail);
	u32 waiting = tail - cpu->request_head;
	bool sane = waiting <= ANT_STORE_ENTRIES;

	if (!waiting)
		return false;
	*entry = READ_ONCE(store->entries[cpu->request_head % ANT_STORE_ENTRIES]);
	/* A count that cannot be: believe none of it and go on from where AnT says it is. */
	WRITE_ONCE(cpu->request_head, sane ? cpu->request_head + 1 : tail);
	if (!sane)
		*entry = ~0ULL;
	/* Pairs with AnT's acquire: the place may be used again. */
	smp_store_release(&store->head, cpu->request_head);
	return true;
}

/* Puts an entry in; the mirror image of store_take(). A count that cannot be looks full. */
static int store_put(struct ant_cpu *cpu, u64 entry)
{
	struct ant_address_store *store = cpu->ret;
	/* Pairs with AnT's release: it has read what is overwritten now. */
	u32 used = cpu->ret_tail - smp_load_acquire(&store->head);

	if (used >= ANT_STORE_ENTRIES)
		return -ENOSPC;
	WRITE_ONCE(store->entries[cpu->ret_tail % ANT_STORE_ENTRIES], entry);
	/* Pairs with AnT's acquire: the entry is there. */
	smp_store_release(&store->tail, ++cpu->ret_tail);
	return 0;
}

static void refuse(struct ant_cpu *cpu, u64 entry)
{
	WRITE_ONCE(cpu->control->linux_refused, ++cpu->refused);
	pr_warn_ratelimited("ant%u: CPU %u (CPU %u) sent %#llx, which is no channel's; refused\n",
			    cpu->part->id, cpu->index, cpu->linux_cpu, entry);
}

/*
 * Hands on what a CPU has sent. Bounded, so that a CPU which produces rubbish faster than we
 * refuse it keeps no interrupt handler; it rings for what comes later.
 */
void ant_requests_post(struct ant_cpu *cpu)
{
	unsigned long flags;
	u64 entry;
	int tries;

	spin_lock_irqsave(&cpu->part->channels_lock, flags);
	for (tries = 0; tries < ANT_STORE_ENTRIES && store_take(cpu, &entry); tries++)
		if (!ant_channel_post(cpu, entry))
			refuse(cpu, entry);
	spin_unlock_irqrestore(&cpu->part->channels_lock, flags);
}

/*
 * The generation comes back as it went out; the kind says what the entry means. Under the lock of
 * the channels: Linux has many producers.
 */
int ant_return_put(struct ant_cpu *cpu, u64 lca, u64 kind)
{
	int err = store_put(cpu, (lca & ~(u64)ANT_ENTRY_KIND_MASK) | kind);

	if (!err)
		ant_cpu_ring(cpu);
	return err;
}
