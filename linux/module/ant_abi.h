/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* Generated from abi/ by `./ant gen`. Do not edit. */
#ifndef ANT_ABI_H
#define ANT_ABI_H

#include <linux/build_bug.h>
#include <linux/ioctl.h>
#include <linux/types.h>

#define ANT_REVISION 7
#define ANT_MAX_CPUS 32
#define ANT_REQUEST_STORE_OFFSET 4096
#define ANT_RETURN_STORE_OFFSET 8192
#define ANT_IMAGE_VIRT 0xffffffff80000000ULL
#define ANT_LARGE_PAGE 0x200000U
#define ANT_IMAGE_SPAN 0x400000U
#define ANT_BUNDLE_SPAN 0x400000U
#define ANT_BOOT_BLOCK_SPAN 0x10000U
#define ANT_CPU_BLOCK_SPAN 32768
#define ANT_SHARED_SPAN 0x110000U
#define ANT_SHARED_OFFSET 0x2f0000U
#define ANT_DOORBELL_VECTOR 240
#define ANT_BOOT_MAGIC 0x62746f6f62546e41ULL
#define ANT_MAX_EXTENTS 1024
#define ANT_BOOT_ALLOW_INJECT 1
#define ANT_BOOT_IDLE_POLL 2
#define ANT_MAX_DEVICES 16
#define ANT_DEVICE_RESOURCES 8
#define ANT_MAX_INTERRUPTS 64
#define ANT_DEVICE_NAME 32
#define ANT_DEVICE_ID 8
#define ANT_BUS_PNP 1
#define ANT_BUS_PCI 2
#define ANT_RESOURCE_PORTS 1
#define ANT_RESOURCE_MEMORY 2
#define ANT_RESOURCE_INTERRUPT 3
#define ANT_STORE_ENTRIES 256
#define ANT_KIND_CALL 0
#define ANT_KIND_RELEASED 1
#define ANT_KIND_CLOSED 2
#define ANT_ENTRY_ADDRESS_MASK 0xffffffffff000ULL
#define ANT_ENTRY_KIND_MASK 4095
#define ANT_ENTRY_GENERATION_SHIFT 52
#define ANT_CPU_OFF 0
#define ANT_CPU_STARTING 1
#define ANT_CPU_READY 2
#define ANT_CPU_PANICKED 3
#define ANT_CPU_HALTED 4
#define ANT_ROLE_M_KERNEL 0
#define ANT_ROLE_P_KERNEL 1
#define ANT_ROUTE_NONE 0
#define ANT_ROUTE_APIC_SHIFT 32
#define ANT_ARGS 6
#define ANT_RELOCATIONS 16
#define ANT_STEPS 10
#define ANT_LCA_HEADER 512
#define ANT_LCA_BUFFER 3584
#define ANT_CFLAG_CONTINUE 1
#define ANT_CFLAG_TRACE 2
#define ANT_STEP_LINUX_DOORBELL 2
#define ANT_STEP_PARENT_GETS 3
#define ANT_STEP_LINUX_RETURNS 7
#define ANT_FAILURE_NONE 0
#define ANT_FAILURE_REVISION 1
#define ANT_FAILURE_NO_CPU 2
#define ANT_FAILURE_BOOT_CPU 3
#define ANT_FAILURE_CPU_TAKEN 4
#define ANT_FAILURE_CPU_TWICE 5
#define ANT_FAILURE_CPU_BUSY 6
#define ANT_FAILURE_OFFLINE 7
#define ANT_FAILURE_CPU_COUNT 8
#define ANT_FAILURE_TOO_SMALL 9
#define ANT_FAILURE_NO_MEMORY 10
#define ANT_FAILURE_NO_VECTOR 11
#define ANT_FAILURE_NO_TRAMPOLINE 12
#define ANT_MIN_MEMORY 0x1000000U
#define ANT_LOAD_IMAGE 0
#define ANT_LOAD_BUNDLE 1

/*
 * Contiguous physical memory.
 */
struct ant_extent {
	/* Physical address, page aligned. */
	__u64 start;
	/* Bytes, a multiple of a page. */
	__u64 len;
};

static_assert(sizeof(struct ant_extent) == 16);

/*
 * One CPU of the partition. The first is the m-kernel's.
 */
struct ant_boot_cpu {
	/* Physical APIC id. */
	__u32 apic_id;
	/* What Linux calls it; the number people see. */
	__u32 linux_cpu;
};

static_assert(sizeof(struct ant_boot_cpu) == 8);

/*
 * How many objects of each kind the partition has room for. The tables are made of its memory at
 * boot; `ant_logic::tables` says what can be.
 */
struct ant_table_sizes {
	/* Processes, servers included, at one time. */
	__u32 processes;
	/* Threads at one time. */
	__u32 threads;
	/* Endpoints; the first `SERVER_ENDPOINTS` are `init`'s and the servers'. */
	__u32 endpoints;
	/* LCAs; they are the first pages of the ICA. */
	__u32 lcas;
	/* Pages of the ICA. */
	__u32 ica_pages;
	/* Zero. */
	__u32 reserved;
};

static_assert(sizeof(struct ant_table_sizes) == 24);

/*
 * What a device has.
 */
struct ant_resource {
	/* A `ResourceKind`; `RESOURCE_*` in C. */
	__u32 kind;
	/* Of an interrupt: Linux's number of the irq, which people and manifests use. Else zero. */
	__u32 line;
	/* See `kind`. */
	__u64 start;
	/* See `kind`. */
	__u64 len;
};

static_assert(sizeof(struct ant_resource) == 24);

/*
 * A device that was taken from Linux. Its index in `BootBlock::devices` is its number.
 */
struct ant_boot_device {
	/* What the partition calls it: `DeviceTake::name`. */
	__u8 name[32];
	/* Where it is on its bus. */
	__u8 address[32];
	/* What kind of device the bus says that it is. */
	__u8 id[8];
	/* A `Bus`; `BUS_*` in C. */
	__u32 bus;
	/* Resources in `resources`. */
	__u32 resource_count;
	/* Its resources. */
	struct ant_resource resources[8];
};

static_assert(sizeof(struct ant_boot_device) == 272);

/*
 * Start of the shared area. Filled by `ant.ko` before the first CPU starts; never changed
 * afterwards; checked by the AnT kernel.
 */
struct ant_boot_block {
	/* `BOOT_MAGIC`. */
	__u64 magic;
	/* `REVISION` of the module. */
	__u32 revision;
	/* Bytes of this structure. */
	__u32 size;
	/* Number of the partition on this machine. */
	__u32 partition;
	/* `BOOT_*`. */
	__u32 flags;
	/* Physical address of the kernel image; the shared area is `SHARED_OFFSET` above it. */
	__u64 image_phys;
	/* Physical address of the bundle, page aligned. */
	__u64 bundle_phys;
	/* Bytes of the bundle; 0: none was loaded. */
	__u64 bundle_len;
	/* Frequency of the time-stamp counter in kHz, as Linux measured it. */
	__u32 tsc_khz;
	/* CPUs in `cpus`. */
	__u32 cpu_count;
	/* Extents in `extents`. */
	__u32 extent_count;
	/* Devices in `devices`. Raised by `DEVICE_TAKE`, before the first CPU starts. */
	__u32 device_count;
	/* Sizes of AnT's tables. */
	struct ant_table_sizes tables;
	/* The CPUs of the partition, the m-kernel's first. */
	struct ant_boot_cpu cpus[32];
	/* The memory of the partition. The first extent begins with the image. */
	struct ant_extent extents[1024];
	/* The devices of the partition. Filled by `DEVICE_TAKE`, before the first CPU starts. */
	struct ant_boot_device devices[16];
};

static_assert(sizeof(struct ant_boot_block) == 21080);

/*
 * Memory of one address store.
 */
struct ant_address_store {
	/* Entries ever put in (wraps). Written by the producer, read by the consumer. */
	__u32 tail;
	/* Keeps the two counters on cache lines of their own. Zero. */
	__u32 pad_tail[15];
	/* Entries ever taken out (wraps). Written by the consumer, read by the producer. */
	__u32 head;
	/* Zero. */
	__u32 pad_head[15];
	/* Entry `n` is at `n % STORE_ENTRIES`. */
	__u64 entries[256];
};

static_assert(sizeof(struct ant_address_store) == 2176);

/*
 * Control page of one CPU. Counters count from the start of the partition.
 */
struct ant_cpu_control {
	/* A `CpuState`, `CPU_*` in C. Written by AnT. */
	__u32 state;
	/* A `CpuRole`, `ROLE_*` in C. Written by AnT. */
	__u32 role;
	/*
	 * Where this CPU's doorbell to Linux goes: `apic_id << 32 | vector`, or `ROUTE_NONE`.
	 * Written by the module as one store whenever the irq's affinity changes; read by AnT
	 * before every send.
	 */
	__u64 route;
	/* Process that runs now, 0 for none. Written by AnT. */
	__u32 running_pid;
	/* Processes that live on this CPU. Written by AnT. */
	__u32 processes;
	/* Linux system calls sent. Written by AnT. */
	__u64 calls_sent;
	/* Returns taken. Written by AnT. */
	__u64 calls_returned;
	/* Returns that no process of the CPU waits for. Written by AnT. */
	__u64 unexpected_returns;
	/*
	 * Doorbells taken, from Linux or from another AnT CPU. Written by AnT; a doorbell that
	 * does not raise it within a second means a CPU with interrupts off.
	 */
	__u64 doorbells;
	/* Unexpected interrupts: acknowledged, counted, ignored. Written by AnT. */
	__u64 unexpected_interrupts;
	/* Timer interrupts taken. Written by AnT. */
	__u64 timer_interrupts;
	/* Changes from one process to another. Written by AnT. */
	__u64 switches;
	/* Faults that ended a process. Written by AnT. */
	__u64 faults;
	/* TSC cycles spent halted, without the halt that may be going on. Written by AnT. */
	__u64 idle_cycles;
	/* When the halt that is going on began, 0 for none. Written by AnT. */
	__u64 idle_since;
	/* Pages of the partition that are free. Written by the m-kernel, 0 elsewhere. */
	__u64 free_pages;
	/* Pages of the partition that AnT manages. Written by the m-kernel, 0 elsewhere. */
	__u64 total_pages;
	/* Rings of this CPU's doorbell that `ant.ko` handled. Written by the module. */
	__u64 linux_doorbells;
	/*
	 * Requests of this CPU that the module refused: outside the partition or not a page.
	 * Written by the module.
	 */
	__u64 linux_refused;
	/*
	 * LCAs of AnT's `init`, with their generation: one for its commands, one for its replies.
	 * `antd` serves them itself. Written by the m-kernel before it is ready, 0 elsewhere.
	 */
	__u64 init_lcas[2];
	/*
	 * Interrupts of the partition's devices that came to this CPU since it last looked: bit
	 * `n` is interrupt `n`. Set by the module, one bit at a time, and taken by this CPU.
	 */
	__u64 interrupts;
	/*
	 * Odd while the kernel runs on this CPU, even while a process runs or the CPU sleeps;
	 * raised at each change. If it is odd and stays the same, the CPU hangs. Written by AnT.
	 */
	__u64 kernel_entries;
	/* Interrupts of devices that this CPU has taken. Written by AnT. */
	__u64 device_interrupts;
	/*
	 * Index of the CPU that each interrupt of the partition's devices goes to. Written by AnT
	 * on CPU 0's page, zero elsewhere; read by the module at each interrupt. An index of no
	 * CPU means CPU 0.
	 */
	__u32 interrupt_targets[64];
	/* Zero; rounds the page up. */
	__u64 reserved[458];
};

static_assert(sizeof(struct ant_cpu_control) == 4096);

/*
 * One argument.
 */
struct ant_arg {
	/* One of `ARG_*`. */
	__u8 kind;
	/* Zero. */
	__u8 reserved[3];
	/* `ARG_BUFFER`: bytes that the call may read or write there. Else zero. */
	__u32 len;
	/* The value, or the offset into `buffer`. */
	__u64 value;
};

static_assert(sizeof(struct ant_arg) == 16);

/*
 * A pointer that lies inside the buffer: eight bytes at `at` that must point to
 * `buffer[target .. target + len]`.
 */
struct ant_relocation {
	/* Offset into `buffer` of the pointer, a multiple of 8. */
	__u16 at;
	/* Offset into `buffer` of what it points to. */
	__u16 target;
	/* Bytes that the call may read or write there. */
	__u32 len;
};

static_assert(sizeof(struct ant_relocation) == 8);

/*
 * When and where a step of a traced call happened.
 */
struct ant_stamp {
	/* Time-stamp counter, 0 if the step was not taken. */
	__u64 tsc;
	/* Linux's number of the CPU. */
	__u32 cpu;
	/* Process id: AnT's in AnT's steps, Linux's in Linux's steps, 0 for a kernel. */
	__u32 pid;
};

static_assert(sizeof(struct ant_stamp) == 16);

/*
 * The page.
 */
struct ant_lca {
	/*
	 * CPU that the result goes back to: index of the process's CPU in the partition.
	 * Filled by the AnT kernel.
	 */
	__u32 cid;
	/* `CFLAG_*`. Filled by the process. */
	__u32 cflag;
	/* Number of the Linux system call. Filled by the process. */
	__u64 syscallno;
	/* Its return value. Filled by the proxy. */
	__s64 retval;
	/* Relocations in use. Filled by the process. */
	__u32 relocation_count;
	/* Zero. */
	__u32 reserved;
	/* The arguments. Filled by the process. */
	struct ant_arg args[6];
	/* Pointers inside the buffer. Filled by the process. */
	struct ant_relocation relocations[16];
	/* Steps of a traced call, see `STEP_*`. Filled by the party that takes the step. */
	struct ant_stamp stamps[10];
	/* Zero. */
	__u64 reserved_tail[12];
	/* What the arguments point to. */
	__u8 buffer[3584];
};

static_assert(sizeof(struct ant_lca) == 4096);

/*
 * `INFO`: what module this is.
 */
struct ant_module_info {
	/* `REVISION` of the module. */
	__u32 revision;
	/* `MAX_CPUS` of the module. */
	__u32 max_cpus;
	/* Partitions that live now. */
	__u32 partitions;
	/* Zero. */
	__u32 reserved;
};

static_assert(sizeof(struct ant_module_info) == 16);

/*
 * `CREATE`: take CPUs and memory from Linux. Written back on failure, too.
 */
struct ant_partition_create {
	/* In: `REVISION` of the caller. */
	__u32 revision;
	/* In: `BOOT_*` flags. */
	__u32 flags;
	/* In: memory in bytes; rounded up to 4 MiB. */
	__u64 memory;
	/* In: CPUs in `cpus`. */
	__u32 cpu_count;
	/* Out: number of the new partition. */
	__u32 partition;
	/* Out: one of `FAILURE_*`. */
	__u32 failure;
	/* Out: what the failure is about. */
	__u32 failed_value;
	/* In: what the boot block says of AnT's tables; the module passes it on, unread. */
	struct ant_table_sizes tables;
	/* In: Linux's numbers of the CPUs; the first becomes the m-kernel's. */
	__u32 cpus[32];
};

static_assert(sizeof(struct ant_partition_create) == 184);

/*
 * `LOAD`: copy bytes into the partition's memory, before the first `START`.
 */
struct ant_memory_load {
	/* Address of the bytes in the caller. */
	__u64 source;
	/* How many. */
	__u64 len;
	/*
	 * Where, from the start of the target; `offset + len` within `SHARED_OFFSET` for the image,
	 * within `BUNDLE_SPAN` for the bundle.
	 */
	__u64 offset;
	/* One of `LOAD_*`. */
	__u32 target;
	/* Zero. */
	__u32 reserved;
};

static_assert(sizeof(struct ant_memory_load) == 32);

/*
 * `START`: start one CPU; returns when its first instructions have run.
 */
struct ant_cpu_start {
	/* Index of the CPU in the partition. */
	__u32 cpu;
	/* Zero. */
	__u32 reserved;
	/* Virtual address of the first instruction. */
	__u64 entry;
};

static_assert(sizeof(struct ant_cpu_start) == 16);

/*
 * `BIND`: serve a channel.
 */
struct ant_channel_bind {
	/* Number of the partition. */
	__u32 partition;
	/* Zero. */
	__u32 reserved;
	/* The LCA with its generation, as `init` has named it. */
	__u64 lca;
};

static_assert(sizeof(struct ant_channel_bind) == 16);

/*
 * `GET`: out: the LCA of a request (`StoreEntry` of kind call).
 */
struct ant_call_get {
	/* The LCA with its generation. */
	__u64 lca;
};

static_assert(sizeof(struct ant_call_get) == 8);

/*
 * `RET`: in: a result.
 */
struct ant_call_ret {
	/* The LCA with its generation. */
	__u64 lca;
	/* CPU that it goes back to, `Lca::cid`. */
	__u32 cid;
	/* Zero. */
	__u32 reserved;
};

static_assert(sizeof(struct ant_call_ret) == 16);

/*
 * `RELEASE`: in: no mapping any more.
 */
struct ant_lca_release {
	/* The LCA with its generation. */
	__u64 lca;
	/* `EntryKind::Released` or `EntryKind::Closed` (`KIND_*` in C). */
	__u64 kind;
};

static_assert(sizeof(struct ant_lca_release) == 16);

/*
 * `KICK`: ring a CPU's doorbell, to see whether it answers.
 */
struct ant_cpu_kick {
	/* Index of the CPU in the partition. */
	__u32 cpu;
	/* Zero. */
	__u32 reserved;
};

static_assert(sizeof(struct ant_cpu_kick) == 8);

/*
 * `DEVICE_TAKE`: take a device on one of Linux's buses from its driver.
 */
struct ant_device_take {
	/* In: a `Bus`; `BUS_*` in C. */
	__u32 bus;
	/* Out: its number in the partition. */
	__u32 index;
	/* In: its address on the bus, padded with NULs. */
	__u8 address[32];
	/*
	 * In: what the partition calls it, padded with NULs; no other device of it may be called
	 * so. Only manifests and people know what it means.
	 */
	__u8 name[32];
	/* Out: the device, as it is in the boot block from now on. */
	struct ant_boot_device device;
};

static_assert(sizeof(struct ant_device_take) == 344);

#define ANT_INFO _IOR('A', 0x00, struct ant_module_info)
#define ANT_CREATE _IOWR('A', 0x01, struct ant_partition_create)
#define ANT_LOAD _IOW('A', 0x02, struct ant_memory_load)
#define ANT_START _IOW('A', 0x03, struct ant_cpu_start)
#define ANT_STOP _IO('A', 0x04)
#define ANT_KICK _IOW('A', 0x05, struct ant_cpu_kick)
#define ANT_DEVICE_TAKE _IOWR('A', 0x06, struct ant_device_take)
#define ANT_GET _IOR('A', 0x10, struct ant_call_get)
#define ANT_RET _IOW('A', 0x11, struct ant_call_ret)
#define ANT_RELEASE _IOW('A', 0x12, struct ant_lca_release)
#define ANT_BIND _IOW('A', 0x13, struct ant_channel_bind)

#endif /* ANT_ABI_H */
