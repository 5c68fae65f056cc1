// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory: taken from the running Linux by moving away what is in it, given back page by page.
 *
 * Everything is taken in chunks of 4 MiB that begin at a multiple of 4 MiB, so the first extent
 * always holds the image in two large pages. The bundle has the second chunk, wherever that is.
 */
#include <linux/gfp.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/topology.h>

#include "ant.h"

#define CHUNK_PAGES (ANT_CHUNK >> PAGE_SHIFT)
/* Tried first; where it fails, its halves are. Saves most of the cost of asking. */
#define BLOCK_PAGES (64 * CHUNK_PAGES)

/* Pages that Linux could give to others, but not to AnT: see take_node(). */
static long movable_pages(void)
{
	long pages = 0;
	int nid;

	for_each_online_node(nid) {
		struct zone *zone = &NODE_DATA(nid)->node_zones[ZONE_MOVABLE];

		pages += zone_page_state(zone, NR_FREE_PAGES);
		pages += zone_page_state(zone, NR_ZONE_INACTIVE_FILE);
		pages += zone_page_state(zone, NR_ZONE_ACTIVE_FILE);
	}
	return pages;
}

/* What Linux could give and still live: without the rest, its OOM killer would wake. */
static u64 spare_memory(void)
{
	u64 available = (u64)max(si_mem_available() - movable_pages(), 0L) << PAGE_SHIFT;

	return available - available / 16;
}

int ant_memory_check(struct ant_partition_create *req)
{
	if (req->memory < ANT_MIN_MEMORY)
		return ant_fail(req, ANT_FAILURE_TOO_SMALL, ANT_MIN_MEMORY >> 20, -EINVAL);
	if (req->memory > spare_memory())
		return ant_fail(req, ANT_FAILURE_NO_MEMORY, spare_memory() >> 20, -ENOMEM);
	return 0;
}

/* Nothing but pages of this zone that Linux may move or has free. */
static bool may_be_free(const struct zone *zone, unsigned long pfn, unsigned long count)
{
	unsigned long end = pfn + count;

	for (; pfn < end; pfn++) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page || page_zone(page) != zone || PageReserved(page))
			return false;
	}
	return true;
}

/* Lengthens the last extent if it can. */
static bool add_extent(struct ant_partition *part, u64 start, u64 len)
{
	struct ant_extent *last = &part->extents[part->extent_count];

	if (part->extent_count && last[-1].start + last[-1].len == start) {
		last[-1].len += len;
	} else if (part->extent_count < ANT_MAX_EXTENTS) {
		*last = (struct ant_extent){ .start = start, .len = len };
		part->extent_count++;
	} else {
		return false;
	}
	part->got += len;
	return true;
}

/* AnT must not see what was Linux's, and finds its stores and counters zero. */
static void clear_pages(unsigned long pfn, unsigned long count)
{
	unsigned long end = pfn + count;

	for (; pfn < end; pfn++) {
		clear_page(pfn_to_kaddr(pfn));
		/* Whatever Linux has left there; see pending_tag_set(). */
		set_page_private(pfn_to_page(pfn), 0);
		if (pfn % CHUNK_PAGES == 0)
			cond_resched();
	}
}

static bool take_pages(struct ant_partition *part, unsigned long pfn, unsigned long count)
{
	if (alloc_contig_range(pfn, pfn + count, MIGRATE_MOVABLE, GFP_KERNEL | __GFP_NOWARN))
		return false;
	if (!add_extent(part, PFN_PHYS(pfn), (u64)count << PAGE_SHIFT)) {
		free_contig_range(pfn, count);
		return false;
	}
	clear_pages(pfn, count);
	return true;
}

static bool enough(const struct ant_partition *part)
{
	return part->got >= part->want || fatal_signal_pending(current);
}

/* Takes the block, or what can be had of its halves; as deep as log2(BLOCK_PAGES/CHUNK_PAGES). */
static void take_block(struct ant_partition *part, struct zone *zone, unsigned long pfn,
		       unsigned long count)
{
	if (enough(part))
		return;
	if (((u64)count << PAGE_SHIFT) <= part->want - part->got &&
	    may_be_free(zone, pfn, count) && take_pages(part, pfn, count))
		return;
	if (count == CHUNK_PAGES)
		return;
	take_block(part, zone, pfn, count / 2);
	take_block(part, zone, pfn + count / 2, count / 2);
}

static void take_zone(struct ant_partition *part, struct zone *zone)
{
	unsigned long pfn = round_down(zone->zone_start_pfn, BLOCK_PAGES);

	for (; pfn < zone_end_pfn(zone) && !enough(part); pfn += BLOCK_PAGES) {
		take_block(part, zone, pfn, BLOCK_PAGES);
		cond_resched();
	}
}

/*
 * High memory first: devices need what is below 4 GiB. The first 16 MiB stay Linux's, and so does
 * ZONE_MOVABLE: to take a block of it offline waits until everything in it has moved.
 */
static void take_node(struct ant_partition *part, int nid)
{
	static const enum zone_type order[] = { ZONE_NORMAL, ZONE_DMA32 };
	int i;

	for (i = 0; i < ARRAY_SIZE(order); i++)
		take_zone(part, &NODE_DATA(nid)->node_zones[order[i]]);
}

/* The node of the m-kernel's CPU first, then the others. */
int ant_memory_take(struct ant_partition *part, struct ant_partition_create *req)
{
	int home = cpu_to_node(part->cpus[0].linux_cpu);
	int nid;

	part->want = round_up(req->memory, ANT_CHUNK);
	take_node(part, home);
	for_each_online_node(nid)
		if (nid != home)
			take_node(part, nid);
	if (part->got < part->want) {
		ant_fail(req, ANT_FAILURE_NO_MEMORY, part->got >> 20, 0);
		ant_memory_give_back(part);
		return fatal_signal_pending(current) ? -EINTR : -ENOMEM;
	}
	BUILD_BUG_ON(ANT_IMAGE_SPAN != ANT_CHUNK || ANT_BUNDLE_SPAN > ANT_CHUNK);
	BUILD_BUG_ON(ANT_MIN_MEMORY < 2 * ANT_CHUNK);
	part->image = part->extents[0].start;
	part->bundle = part->extents[0].len > ANT_CHUNK ? part->image + ANT_CHUNK :
							  part->extents[1].start;
	return 0;
}

/*
 * Not cleared: AnT's programs are programs of this machine's users like any other, and Linux
 * treats what they leave in free pages like what its own leave (init_on_alloc, init_on_free).
 */
static void free_extent(const struct ant_extent *extent)
{
	unsigned long pfn = PHYS_PFN(extent->start);
	unsigned long end = pfn + (extent->len >> PAGE_SHIFT);

	/* One by one: a page that some I/O still pins is free when the pin goes. */
	for (; pfn < end; pfn++) {
		/* Not every kernel clears it, and some users believe it. */
		set_page_private(pfn_to_page(pfn), 0);
		__free_page(pfn_to_page(pfn));
		if (pfn % CHUNK_PAGES == 0)
			cond_resched();
	}
}

void ant_memory_give_back(struct ant_partition *part)
{
	while (part->extent_count)
		free_extent(&part->extents[--part->extent_count]);
	part->got = 0;
}

/* A page of the partition that may be an LCA: none of the image, the shared area or the bundle. */
bool ant_memory_is_lca(const struct ant_partition *part, phys_addr_t page)
{
	u32 i;

	if (page - part->image < ANT_IMAGE_SPAN || page - part->bundle < part->bundle_len)
		return false;
	for (i = 0; i < part->extent_count; i++)
		if (page - part->extents[i].start < part->extents[i].len)
			return true;
	return false;
}
