// SPDX-License-Identifier: GPL-2.0-only
/*
 * The address stores: rings through which AnT hands LCAs to Linux and Linux hands them back.
 *
 * Each counter has one writer. Linux keeps its own counters here and only publishes them, so what
 * AnT writes over them changes nothing; what AnT counts is checked before it is used. An IPI says
 * "look"; what there is to see is in the stores.
 */
#include <linux/bitops.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <asm/barrier.h>
#include <asm/msr.h>

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
	pr_warn_ratelimited("ant%u: CPU %u (CPU %u) sent %#llx, which is no LCA; refused\n",
			    cpu->part->id, cpu->index, cpu->linux_cpu, entry);
}

/* Bounded, so that a CPU which produces rubbish faster than we refuse it delays no other CPU. */
static bool cpu_take(struct ant_cpu *cpu, u64 *lca)
{
	int tries;

	for (tries = 0; tries < ANT_STORE_ENTRIES && store_take(cpu, lca); tries++) {
		if ((*lca & ANT_ENTRY_KIND_MASK) == ANT_KIND_CALL &&
		    ant_memory_is_lca(cpu->part, ant_raddr(*lca)))
			return true;
		refuse(cpu, *lca);
	}
	return false;
}

/*
 * The pending tag of an LCA: the generation and the CPU of the call that is under way through it,
 * 0 for none. A result goes to the CPU that waits for it, once, whichever process has a proxy's
 * file. It is in page->private, which is the page owner's: ours.
 */
static unsigned long *pending_tag(u64 entry)
{
	return &pfn_to_page(PHYS_PFN(ant_raddr(entry)))->private;
}

static unsigned long pending_tag_of(const struct ant_cpu *cpu, u64 entry)
{
	return (entry >> ANT_ENTRY_GENERATION_SHIFT) << 8 | (cpu->index + 1);
}

/* How many generations later an entry is than a tag; they are numbered in a circle. */
static int pending_tag_age(unsigned long tag, u64 entry)
{
	return sign_extend32((entry >> ANT_ENTRY_GENERATION_SHIFT) - (tag >> 8), 11);
}

static void pending_tag_set(const struct ant_cpu *cpu, u64 entry)
{
	unsigned long *tag = pending_tag(entry);
	unsigned long before = READ_ONCE(*tag);

	/* A request of an earlier generation that was taken late does not hide this call. */
	if (!before || pending_tag_age(before, entry) >= 0)
		WRITE_ONCE(*tag, pending_tag_of(cpu, entry));
}

static bool pending_tag_take(const struct ant_cpu *cpu, u64 entry)
{
	unsigned long tag = pending_tag_of(cpu, entry);

	return cmpxchg(pending_tag(entry), tag, 0) == tag;
}

/* The call that was under way, if there was one, gets no result. */
static void pending_tag_clear(u64 entry)
{
	unsigned long *tag = pending_tag(entry);

	if (!pending_tag_age(READ_ONCE(*tag), entry))
		WRITE_ONCE(*tag, 0);
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

bool ant_requests_waiting(const struct ant_partition *part)
{
	u32 i;

	for (i = 0; i < part->cpu_count; i++) {
		const struct ant_cpu *cpu = &part->cpus[i];

		if (READ_ONCE(cpu->request->tail) != READ_ONCE(cpu->request_head))
			return true;
	}
	return false;
}

/* Serves the CPUs in turn, so that a busy one does not keep the others waiting. */
bool ant_requests_take(struct ant_partition *part, u64 *lca)
{
	struct ant_cpu *cpu;
	bool found = false;
	u32 i;

	spin_lock(&part->get_lock);
	for (i = 0; i < part->cpu_count && !found; i++) {
		cpu = &part->cpus[part->next_cpu];
		part->next_cpu = (part->next_cpu + 1) % part->cpu_count;
		found = cpu_take(cpu, lca);
	}
	spin_unlock(&part->get_lock);
	if (found) {
		pending_tag_set(cpu, *lca);
		trace_get(cpu, *lca);
	}
	return found;
}

/* The generation comes back as it went out; the kind says what the entry means. */
static int return_put(struct ant_cpu *cpu, u64 lca, u64 kind)
{
	int err;

	spin_lock(&cpu->ret_lock);
	err = store_put(cpu, (lca & ~(u64)ANT_ENTRY_KIND_MASK) | kind);
	spin_unlock(&cpu->ret_lock);
	if (!err)
		ant_cpu_ring(cpu);
	return err;
}

int ant_result_put(struct ant_partition *part, u64 lca, u32 cid)
{
	struct ant_cpu *cpu;

	if (cid >= part->cpu_count || !ant_memory_is_lca(part, ant_raddr(lca)))
		return -EINVAL;
	cpu = &part->cpus[cid];
	if (!pending_tag_take(cpu, lca))
		return -ENOENT;
	/* Before the entry: with it the page is AnT's. */
	trace_return(lca);
	return return_put(cpu, lca, ANT_KIND_CALL);
}

int ant_release_put(struct ant_partition *part, u64 lca, u64 kind)
{
	struct ant_cpu *cpu = &part->cpus[0];
	int err;

	if (!READ_ONCE(cpu->started) || !ant_memory_is_lca(part, ant_raddr(lca)))
		return -EINVAL;
	err = ant_lca_revoke(part, lca);
	if (err)
		return err;
	pending_tag_clear(lca);
	return return_put(cpu, lca, kind);
}
