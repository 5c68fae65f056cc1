// SPDX-License-Identifier: GPL-2.0-only
/*
 * Partitions: made of units in one order, unmade in the reverse one.
 *
 * A partition gives its memory back when no CPU runs in it any more, and before Linux brings the
 * CPUs online: that takes memory, and a lock that is held while a block of memory is taken offline,
 * until all in it is free. A partition ends once, by STOP or by the last close of its control file.
 * Files of channels may outlive it: it is a zombie until the last of them is closed.
 */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "ant.h"

static DEFINE_MUTEX(partitions_lock);
static LIST_HEAD(partitions);
static u32 partition_count;
/* An id is free again when the last file that knows it is closed. */
static DEFINE_IDA(ids);

/* Every access to a partition's memory or CPUs is inside; the stop waits until all are out. */
DEFINE_STATIC_SRCU(gate);

struct unit {
	int (*up)(struct ant_partition *part, struct ant_partition_create *req);
	void (*down)(struct ant_partition *part);
};

static const struct unit units[] = {
	{ ant_cpus_mark, ant_cpus_unmark },
	{ ant_cpus_take, ant_cpus_give_back },
	{ ant_memory_take, ant_memory_give_back },
	{ ant_boot_prepare, ant_boot_forget },
	{ ant_doorbells_take, ant_doorbells_give_back },
	{ ant_cpus_park, ant_cpus_silence },
};

static void units_down(struct ant_partition *part, int count)
{
	while (count-- > 0)
		units[count].down(part);
}

static int units_up(struct ant_partition *part, struct ant_partition_create *req)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(units); i++) {
		err = units[i].up(part, req);
		if (err) {
			units_down(part, i);
			return err;
		}
	}
	return 0;
}

bool ant_gate_enter(struct ant_partition *part, int *ticket)
{
	*ticket = srcu_read_lock(&gate);
	if (!READ_ONCE(part->stopped))
		return true;
	srcu_read_unlock(&gate, *ticket);
	return false;
}

void ant_gate_leave(int ticket)
{
	srcu_read_unlock(&gate, ticket);
}

static struct ant_partition *alloc_partition(const struct ant_partition_create *req,
					     struct address_space *mapping)
{
	struct ant_partition *part = kvzalloc(sizeof(*part), GFP_KERNEL);
	int id;

	if (!part)
		return ERR_PTR(-ENOMEM);
	id = ida_alloc(&ids, GFP_KERNEL);
	if (id < 0) {
		kvfree(part);
		return ERR_PTR(id);
	}
	part->id = id;
	part->flags = req->flags;
	part->table_sizes = req->tables;
	part->mapping = mapping;
	kref_init(&part->ref);
	mutex_init(&part->lock);
	init_waitqueue_head(&part->wait);
	spin_lock_init(&part->channels_lock);
	xa_init(&part->channels);
	INIT_LIST_HEAD(&part->devices);
	return part;
}

static void free_partition(struct kref *ref)
{
	struct ant_partition *part = container_of(ref, struct ant_partition, ref);

	ida_free(&ids, part->id);
	kvfree(part);
}

void ant_partition_put(struct ant_partition *part)
{
	kref_put(&part->ref, free_partition);
}

static void enlist(struct ant_partition *part)
{
	mutex_lock(&partitions_lock);
	list_add(&part->node, &partitions);
	partition_count++;
	mutex_unlock(&partitions_lock);
}

static void delist(struct ant_partition *part)
{
	mutex_lock(&partitions_lock);
	list_del(&part->node);
	partition_count--;
	mutex_unlock(&partitions_lock);
}

/* On failure nothing of the partition is left, and @req says what was wrong. */
struct ant_partition *ant_partition_create(struct ant_partition_create *req,
					   struct address_space *mapping)
{
	struct ant_partition *part;
	int err;

	if (req->revision != ANT_REVISION)
		return ERR_PTR(ant_fail(req, ANT_FAILURE_REVISION, ANT_REVISION, -EPROTO));
	if (req->flags & ~(ANT_BOOT_ALLOW_INJECT | ANT_BOOT_IDLE_POLL))
		return ERR_PTR(-EINVAL);
	err = ant_memory_check(req);
	if (err)
		return ERR_PTR(err);
	part = alloc_partition(req, mapping);
	if (IS_ERR(part))
		return part;
	err = units_up(part, req);
	if (err) {
		ant_partition_put(part);
		return ERR_PTR(err);
	}
	enlist(part);
	pr_info("ant%u: %u CPUs, %llu MiB in %u extents\n", part->id, part->cpu_count,
		part->got >> 20, part->extent_count);
	return part;
}

/* With a reference; NULL if there is none. */
struct ant_partition *ant_partition_find(u32 id)
{
	struct ant_partition *part, *found = NULL;

	mutex_lock(&partitions_lock);
	list_for_each_entry(part, &partitions, node)
		if (part->id == id) {
			kref_get(&part->ref);
			found = part;
			break;
		}
	mutex_unlock(&partitions_lock);
	return found;
}

u32 ant_partition_count(void)
{
	return READ_ONCE(partition_count);
}

/* After this no page of the partition is mapped by a program; the gate keeps it so. */
static void zap(struct ant_partition *part)
{
	u32 i;

	unmap_mapping_range(part->mapping, 0, ANT_SHARED_SPAN, 1);
	for (i = 0; i < part->extent_count; i++)
		unmap_mapping_range(part->mapping, part->extents[i].start, part->extents[i].len,
				    1);
}

static void stop(struct ant_partition *part)
{
	delist(part);
	WRITE_ONCE(part->stopped, true);
	wake_up_all(&part->wait);
	ant_channels_wake(part);
	synchronize_srcu(&gate);
	zap(part);
	/* Devices go back last, for AnT may use them until its CPUs are Linux's. */
	ant_devices_quiet(part);
	units_down(part, ARRAY_SIZE(units));
	ant_devices_give_back(part);
	ant_channels_free(part);
	pr_info("ant%u: stopped\n", part->id);
}

/* Waits for nothing but the gate and the CPUs. The second stop of a partition is -ENODEV. */
int ant_partition_stop(struct ant_partition *part)
{
	int err = -ENODEV;

	mutex_lock(&part->lock);
	if (!part->stopped) {
		stop(part);
		err = 0;
	}
	mutex_unlock(&part->lock);
	return err;
}
