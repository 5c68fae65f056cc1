/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of ant.ko share. Everything that crosses to AnT or to a program is in ant_abi.h.
 *
 * Locks, outer before inner:
 *   ant_file::lock        what a file is (fresh, control, channels)
 *   ant_partition::lock   loading, starting and stopping
 *   low_page_lock         the page below 1 MiB (boot.c)
 *   devices_lock          one device taken or given back at a time (devices.c)
 *   partitions_lock       the list of partitions (partition.c)
 * The gate (SRCU) is entered under none of them but ant_file::lock; the stop of a partition waits
 * for every reader inside. ant_partition::channels_lock, a spin lock, is taken with interrupts
 * off, by the doorbell's handler, too; none is taken inside but wait queues'.
 * CPU hotplug calls the guard under its own locks, so the guard takes none.
 */
#ifndef ANT_H
#define ANT_H

#include <linux/bitmap.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <asm/barrier.h>

#include "ant_abi.h"

#define ANT_CHUNK 0x400000UL

struct ant_partition;
struct device;

/* How a partition holds a CPU of Linux's (guard.c). */
enum ant_hold {
	ANT_HOLD_NONE,		/* not at all: a partition may mark it */
	ANT_HOLD_MARKED,	/* a partition's: Linux does not bring it online */
	ANT_HOLD_TAKEN,		/* likewise, and Linux has let go: it can get INIT */
	ANT_HOLD_RETURNING,	/* Linux may bring it online; no partition may mark it */
};

/* One CPU of a partition. */
struct ant_cpu {
	struct ant_partition *part;
	u32 index;			/* in the partition; `cid` */
	u32 linux_cpu;			/* Linux's number */
	u32 apic_id;
	bool started;			/* AnT's code has run on it */

	struct ant_cpu_control *control;	/* shared with AnT from here ... */
	struct ant_address_store *request;
	struct ant_address_store *ret;		/* ... to here: never trusted */

	u32 request_head;		/* ours; the shared one is a copy. Under channels_lock */
	u64 refused;			/* requests, likewise */
	u32 ret_tail;			/* ours; likewise */

	unsigned int irq;		/* 0: none */
	char irq_name[24];
	u64 doorbells;			/* written by the handler only */
	u64 doorbell_tsc;		/* of the last; for traces */
	u32 doorbell_cpu;
	struct work_struct look;	/* takes requests when the route has moved */
};

/* Where a channel is in the protocol: ModuleSide in logic/src/channel.rs. */
enum ant_channel_state {
	ANT_CHANNEL_UNMAPPED,		/* no call under way, no process has the page */
	ANT_CHANNEL_POSTED,		/* `cpu` has sent a call */
	ANT_CHANNEL_GIVEN,		/* the executor has it */
	ANT_CHANNEL_RETURNED,		/* and has returned it; it keeps the page */
	ANT_CHANNEL_CLOSED,		/* for good */
};

/* An LCA and the protocol on it. Under the partition's channels_lock. */
struct ant_channel {
	u64 lca;			/* with its generation */
	u64 serial;			/* never used twice in a partition, as generations are */
	enum ant_channel_state state;
	u32 cpu;			/* index, while a call is under way */
	struct ant_executor *executor;	/* NULL: its file was closed */
	struct list_head node;		/* of executor->channels */
	struct list_head posted;	/* of executor->posted */
};

/* What serves channels: part of a file. The lists are under the partition's channels_lock. */
struct ant_executor {
	wait_queue_head_t wait;
	struct list_head channels;
	struct list_head posted;	/* the first is taken next */
	u64 proxy_of;			/* a proxy's: serial of its channel, else 0 */
};

/* An irq that is forwarded to AnT: the argument of its handler. */
struct ant_interrupt {
	struct ant_partition *part;
	u32 index;			/* in the partition */
	unsigned int irq;
};

/* A device of Linux's that AnT has. */
struct ant_device {
	struct ant_partition *part;
	struct list_head node;		/* of the partition's, the last taken first */
	const struct ant_bus *bus;
	struct device *dev;		/* with a reference */
	struct ant_boot_device info;	/* what AnT is told */
	u32 claimed;			/* of info.resources */
	u32 irqs_forwarded;		/* in interrupts */
	struct ant_interrupt interrupts[ANT_DEVICE_RESOURCES];
	char label[16];			/* in /proc/ioports and /proc/interrupts */
};

/*
 * A bus of Linux's (ANT_BUS_*). PCI will be another: beside this, its take() enables the device and
 * allocates vectors, its quiet() ends bus mastering.
 */
struct ant_bus {
	u32 id;
	const char *name;
	int (*init)(void);
	void (*exit)(void);
	/* With a reference; NULL if there is none. */
	struct device *(*find)(const char *address);
	/*
	 * Takes the device from its driver, says what it is and has (ant_device_add_resource) and
	 * claims that (ant_device_claim). On failure Linux has the device as before.
	 */
	int (*take)(struct ant_device *device);
	/* Ends its interrupts; AnT may still work it. */
	void (*quiet)(struct ant_device *device);
	/* After quiet(), when no CPU runs in AnT: a driver of Linux's has it again. */
	void (*give_back)(struct ant_device *device);
};

/*
 * CPUs, memory and devices that Linux gave to one AnT. After the stop a zombie, until the last file
 * is closed: only id, ref and stopped mean something.
 */
struct ant_partition {
	u32 id;
	u32 flags;
	struct ant_table_sizes table_sizes;	/* for AnT, unread */
	struct kref ref;		/* one for each file */
	struct list_head node;
	struct mutex lock;		/* see above */
	struct address_space *mapping;	/* of the device file, to zap mappings */
	bool stopped;			/* set once; read inside the gate */
	bool loaded;			/* a CPU was started: LOAD is over */

	wait_queue_head_t wait;		/* for panics and the end */
	spinlock_t channels_lock;
	struct xarray channels;		/* by page frame number. Changed under channels_lock */
	u32 channel_count;		/* likewise; as many as AnT has LCAs at most */
	u64 channel_serial;		/* likewise; of the last one */

	phys_addr_t image;
	phys_addr_t bundle;		/* the second chunk */
	u64 bundle_len;			/* bytes loaded there */
	u64 want;			/* bytes of memory asked for ... */
	u64 got;			/* ... and taken */
	phys_addr_t trampoline;		/* page below 1 MiB that START borrows */
	u64 *tables;			/* page tables for the first instructions */
	struct list_head devices;	/* the last taken first. Under the lock */
	u32 device_count;		/* likewise */
	DECLARE_BITMAP(interrupts, ANT_MAX_INTERRUPTS);	/* indices in use. Likewise */

	u32 cpu_count;
	u32 extent_count;
	struct ant_cpu cpus[ANT_MAX_CPUS];
	struct ant_extent extents[ANT_MAX_EXTENTS];
};

enum ant_role { ANT_FRESH, ANT_CONTROL, ANT_CHANNELS };

/* One open file. `part` never changes once `role` has been published. */
struct ant_file {
	struct mutex lock;		/* serialises what gives the file its role */
	enum ant_role role;
	struct ant_partition *part;
	struct ant_executor executor;
};

static inline enum ant_role ant_role(const struct ant_file *file)
{
	/* Pairs with become() in file.c: with the role comes the partition. */
	return smp_load_acquire(&file->role);
}

static inline int ant_fail(struct ant_partition_create *req, u32 failure, u32 value, int err)
{
	req->failure = failure;
	req->failed_value = value;
	return err;
}

/* The page that an entry of a store is about. */
static inline phys_addr_t ant_raddr(u64 entry)
{
	return entry & ANT_ENTRY_ADDRESS_MASK;
}

/* file.c */
extern const struct file_operations ant_file_operations;

/* calls.c */
long ant_ioctl_get(struct ant_file *file, struct file *filp, void __user *arg);
long ant_ioctl_ret(struct ant_file *file, void __user *arg);
long ant_ioctl_release(struct ant_file *file, void __user *arg);
long ant_ioctl_kick(struct ant_partition *part, void __user *arg);
__poll_t ant_poll(struct file *filp, poll_table *wait);

/* mapping.c */
int ant_mmap(struct file *filp, struct vm_area_struct *vma);

/* channels.c */
void ant_executor_init(struct ant_executor *executor);
void ant_executor_close(struct ant_partition *part, struct ant_executor *executor);
bool ant_executor_has_requests(const struct ant_executor *executor);
int ant_executor_take(struct ant_partition *part, struct ant_executor *executor, u64 *lca);
int ant_executor_return(struct ant_partition *part, struct ant_executor *executor, u64 lca,
			u32 cid);
int ant_executor_release(struct ant_partition *part, struct ant_executor *executor, u64 lca);
int ant_channel_bind(struct ant_partition *part, struct ant_executor *executor, u64 lca);
int ant_channel_close(struct ant_partition *part, u64 lca);
bool ant_channel_post(struct ant_cpu *cpu, u64 lca);
struct page *ant_channel_page(struct ant_partition *part, const struct ant_executor *executor,
			      unsigned long pfn, bool *gone);
void ant_channels_wake(struct ant_partition *part);
void ant_channels_free(struct ant_partition *part);

/* partition.c */
struct ant_partition *ant_partition_create(struct ant_partition_create *req,
					   struct address_space *mapping);
struct ant_partition *ant_partition_find(u32 id);
void ant_partition_put(struct ant_partition *part);
int ant_partition_stop(struct ant_partition *part);
u32 ant_partition_count(void);
bool ant_gate_enter(struct ant_partition *part, int *ticket);
void ant_gate_leave(int ticket);

/* guard.c */
int ant_guard_init(void);
void ant_guard_exit(void);
bool ant_guard_mark(u32 linux_cpu);
void ant_guard_hold(u32 linux_cpu, enum ant_hold hold);

/* cpus.c */
int ant_cpus_mark(struct ant_partition *part, struct ant_partition_create *req);
void ant_cpus_unmark(struct ant_partition *part);
int ant_cpus_take(struct ant_partition *part, struct ant_partition_create *req);
void ant_cpus_give_back(struct ant_partition *part);
int ant_cpus_park(struct ant_partition *part, struct ant_partition_create *req);
void ant_cpus_silence(struct ant_partition *part);
void ant_cpu_ipi(u32 apic_id, u32 command);
void ant_cpu_init(u32 apic_id);
void ant_cpu_ring(const struct ant_cpu *cpu);

/* boot.c */
int ant_boot_prepare(struct ant_partition *part, struct ant_partition_create *req);
void ant_boot_forget(struct ant_partition *part);
void ant_boot_bundle(struct ant_partition *part, u64 end);
void ant_boot_add_device(const struct ant_partition *part, u32 index,
			 const struct ant_boot_device *device);
int ant_cpu_start(struct ant_partition *part, const struct ant_cpu_start *req);

/* devices.c */
int ant_devices_init(void);
void ant_devices_exit(void);
int ant_device_take(struct ant_partition *part, struct ant_device_take *req);
void ant_devices_quiet(struct ant_partition *part);
void ant_devices_give_back(struct ant_partition *part);
/* devices.c, for buses */
int ant_device_add_resource(struct ant_device *device, u32 kind, u64 start, u64 len);
int ant_device_claim(struct ant_device *device);
void ant_device_free_irqs(struct ant_device *device);
void ant_device_release_regions(struct ant_device *device);

/* bus_pnp.c */
extern const struct ant_bus ant_bus_pnp;

/* memory.c */
int ant_memory_check(struct ant_partition_create *req);
int ant_memory_take(struct ant_partition *part, struct ant_partition_create *req);
void ant_memory_give_back(struct ant_partition *part);
bool ant_memory_is_lca(const struct ant_partition *part, phys_addr_t page);

/* doorbell.c */
int ant_doorbells_init(void);
void ant_doorbells_exit(void);
int ant_doorbells_take(struct ant_partition *part, struct ant_partition_create *req);
void ant_doorbells_give_back(struct ant_partition *part);

/* stores.c */
void ant_requests_post(struct ant_cpu *cpu);
int ant_return_put(struct ant_cpu *cpu, u64 lca, u64 kind);

#endif /* ANT_H */
