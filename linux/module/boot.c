// SPDX-License-Identifier: GPL-2.0-only
/*
 * Boot: tells AnT what it has (boot block) and starts its CPUs (INIT, SIPI, trampoline).
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/e820/api.h>
#include <asm/pgtable_types.h>
#include <asm/tsc.h>

#include "ant.h"
#include "trampoline.h"

#define LOW_START 0x10000
#define LOW_END 0x90000
/* Linux's own real-mode blob ends in this word and is shorter than so many pages. */
#define LINUX_BLOB_SIGNATURE 0x65a22c82
#define LINUX_BLOB_PAGES 16

#define CODE_SELECTOR 8
#define START_TIMEOUT (2 * HZ)

/* The page below 1 MiB is one for all partitions. */
static DEFINE_MUTEX(low_page_lock);

enum { PML4, LOW_PDPT, LOW_PD, LOW_PT, IMAGE_PDPT, IMAGE_PD, TABLES };
#define TABLES_ORDER 3
#define TABLE_ENTRIES 512
/* PGDIR_SHIFT is another one where Linux uses five levels. */
#define PML4_SHIFT 39

static bool near_linux_blob(phys_addr_t page)
{
	const u32 *word = phys_to_virt(page);
	const u32 *end = phys_to_virt(page + LINUX_BLOB_PAGES * PAGE_SIZE);

	while (word < end && *word != LINUX_BLOB_SIGNATURE)
		word++;
	return word < end;
}

/* RAM throughout: no hole, no other type, and nothing that the boot loader has passed on. */
static bool is_ram(phys_addr_t page)
{
	static const enum e820_type others[] = {
		E820_TYPE_RESERVED, E820_TYPE_ACPI, E820_TYPE_NVS, E820_TYPE_UNUSABLE,
		E820_TYPE_PMEM, E820_TYPE_PRAM, E820_TYPE_SOFT_RESERVED, E820_TYPE_RESERVED_KERN,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		if (e820__mapped_any(page, page + PAGE_SIZE, others[i]))
			return false;
	return page_is_ram(PHYS_PFN(page));
}

/* Linux keeps the pages below 1 MiB to itself but uses none except those of its blob. */
static phys_addr_t find_low_page(void)
{
	phys_addr_t page;

	for (page = LOW_START; page < LOW_END; page += PAGE_SIZE)
		if (is_ram(page) && !near_linux_blob(page))
			return page;
	return 0;
}

static u64 *table(const struct ant_partition *part, int which)
{
	return part->tables + which * TABLE_ENTRIES;
}

static void point(const struct ant_partition *part, int from, u64 virt, int shift, u64 value)
{
	table(part, from)[virt >> shift & (TABLE_ENTRIES - 1)] = value;
}

static u64 table_entry(const struct ant_partition *part, int which)
{
	return __pa(table(part, which)) | _PAGE_PRESENT | _PAGE_RW;
}

/*
 * Maps the trampoline's page where it is and the image where it is linked, all of it writable and
 * executable: AnT makes tables of its own, with rights, in the memory that is mapped here.
 */
static void fill_tables(const struct ant_partition *part)
{
	u64 large = _PAGE_PRESENT | _PAGE_RW | _PAGE_PSE;
	u64 virt = ANT_IMAGE_VIRT;

	point(part, PML4, 0, PML4_SHIFT, table_entry(part, LOW_PDPT));
	point(part, LOW_PDPT, 0, PUD_SHIFT, table_entry(part, LOW_PD));
	point(part, LOW_PD, 0, PMD_SHIFT, table_entry(part, LOW_PT));
	point(part, LOW_PT, part->trampoline, PAGE_SHIFT,
	      part->trampoline | _PAGE_PRESENT | _PAGE_RW);
	point(part, PML4, virt, PML4_SHIFT, table_entry(part, IMAGE_PDPT));
	point(part, IMAGE_PDPT, virt, PUD_SHIFT, table_entry(part, IMAGE_PD));
	point(part, IMAGE_PD, virt, PMD_SHIFT, part->image | large);
	point(part, IMAGE_PD, virt + ANT_LARGE_PAGE, PMD_SHIFT,
	      (part->image + ANT_LARGE_PAGE) | large);
}

static struct ant_boot_block *boot_block(const struct ant_partition *part)
{
	return phys_to_virt(part->image + ANT_SHARED_OFFSET);
}

static void fill_boot_block(const struct ant_partition *part)
{
	struct ant_boot_block *block = boot_block(part);
	u32 i;

	block->magic = ANT_BOOT_MAGIC;
	block->revision = ANT_REVISION;
	block->size = sizeof(*block);
	block->partition = part->id;
	block->flags = part->flags;
	block->tables = part->table_sizes;
	block->image_phys = part->image;
	block->bundle_phys = part->bundle;
	block->tsc_khz = tsc_khz;
	block->cpu_count = part->cpu_count;
	block->extent_count = part->extent_count;
	for (i = 0; i < part->cpu_count; i++)
		block->cpus[i] = (struct ant_boot_cpu){
			.apic_id = part->cpus[i].apic_id,
			.linux_cpu = part->cpus[i].linux_cpu,
		};
	memcpy(block->extents, part->extents, part->extent_count * sizeof(*part->extents));
}

/* Tells AnT of one device more; before its first CPU starts. */
void ant_boot_add_device(const struct ant_partition *part, u32 index,
			 const struct ant_boot_device *device)
{
	struct ant_boot_block *block = boot_block(part);

	block->devices[index] = *device;
	block->device_count = index + 1;
}

/* The bundle has bytes up to @end; before the first CPU starts. */
void ant_boot_bundle(struct ant_partition *part, u64 end)
{
	part->bundle_len = max(part->bundle_len, end);
	boot_block(part)->bundle_len = part->bundle_len;
}

static void find_cpu_blocks(struct ant_partition *part)
{
	void *block = phys_to_virt(part->image + ANT_SHARED_OFFSET + ANT_BOOT_BLOCK_SPAN);
	u32 i;

	for (i = 0; i < part->cpu_count; i++, block += ANT_CPU_BLOCK_SPAN) {
		part->cpus[i].control = block;
		part->cpus[i].request = block + ANT_REQUEST_STORE_OFFSET;
		part->cpus[i].ret = block + ANT_RETURN_STORE_OFFSET;
	}
}

/* The tables stay until the end: only AnT knows when it has left them. */
int ant_boot_prepare(struct ant_partition *part, struct ant_partition_create *req)
{
	part->trampoline = find_low_page();
	if (!part->trampoline)
		return ant_fail(req, ANT_FAILURE_NO_TRAMPOLINE, 0, -ENOMEM);
	BUILD_BUG_ON(TABLES > 1 << TABLES_ORDER);
	part->tables = (void *)__get_free_pages(GFP_KERNEL | GFP_DMA32 | __GFP_ZERO, TABLES_ORDER);
	if (!part->tables)
		return ant_fail(req, ANT_FAILURE_NO_TRAMPOLINE, 0, -ENOMEM);
	fill_tables(part);
	fill_boot_block(part);
	find_cpu_blocks(part);
	return 0;
}

void ant_boot_forget(struct ant_partition *part)
{
	free_pages((unsigned long)part->tables, TABLES_ORDER);
	part->tables = NULL;
}

static void fill_trampoline(const struct ant_cpu *cpu, u64 entry)
{
	const struct ant_partition *part = cpu->part;
	void *page = phys_to_virt(part->trampoline);
	struct trampoline_params *params = page + TRAMPOLINE_PARAMS;

	memcpy(page, ant_trampoline, ant_trampoline_end - ant_trampoline);
	*params = (struct trampoline_params){
		.entry = entry,
		.boot_block = ANT_IMAGE_VIRT + ANT_SHARED_OFFSET,
		.cpu = cpu->index,
		.tables = __pa(part->tables),
		.efer = EFER_LME | (boot_cpu_has(X86_FEATURE_NX) ? EFER_NX : 0),
		.long_offset = part->trampoline + (ant_trampoline_long - ant_trampoline),
		.long_selector = CODE_SELECTOR,
		.gdt_limit = ant_trampoline_end - ant_trampoline_gdt - 1,
		.gdt_base = part->trampoline + (ant_trampoline_gdt - ant_trampoline),
	};
}

static bool has_come(const struct ant_cpu *cpu)
{
	/* Pairs with the release in AnT: what it did in the trampoline's page is done. */
	return smp_load_acquire(&cpu->control->state) != ANT_CPU_OFF;
}

/* INIT, SIPI, SIPI as Intel's SDM vol. 3, 9.4.4 has it; true when AnT's code has run. */
static bool wake(const struct ant_cpu *cpu)
{
	u32 startup = APIC_DM_STARTUP | cpu->part->trampoline >> PAGE_SHIFT;
	unsigned long deadline = jiffies + START_TIMEOUT;

	ant_cpu_init(cpu->apic_id);
	usleep_range(10000, 12000);
	ant_cpu_ipi(cpu->apic_id, startup);
	usleep_range(300, 500);
	ant_cpu_ipi(cpu->apic_id, startup);
	while (!has_come(cpu) && time_before(jiffies, deadline))
		usleep_range(200, 1000);
	return has_come(cpu);
}

static int start(struct ant_cpu *cpu, u64 entry)
{
	void *page = phys_to_virt(cpu->part->trampoline);
	void *saved = kmemdup(page, PAGE_SIZE, GFP_KERNEL);

	if (!saved)
		return -ENOMEM;
	fill_trampoline(cpu, entry);
	WRITE_ONCE(cpu->started, wake(cpu));
	if (!cpu->started) {
		/* It may still come, but not into a page that is Linux's again. */
		ant_cpu_init(cpu->apic_id);
		usleep_range(10000, 12000);
	}
	memcpy(page, saved, PAGE_SIZE);
	kfree(saved);
	return cpu->started ? 0 : -ETIMEDOUT;
}

/* Under the partition's lock. */
int ant_cpu_start(struct ant_partition *part, const struct ant_cpu_start *req)
{
	int err;

	if (req->reserved || req->cpu >= part->cpu_count ||
	    req->entry - ANT_IMAGE_VIRT >= ANT_SHARED_OFFSET)
		return -EINVAL;
	if (part->cpus[req->cpu].started)
		return -EBUSY;
	/* The m-kernel makes the others' stacks and page tables. */
	if (req->cpu && READ_ONCE(part->cpus[0].control->state) != ANT_CPU_READY)
		return -EAGAIN;
	err = mutex_lock_killable(&low_page_lock);
	if (err)
		return err;
	part->loaded = true;
	err = start(&part->cpus[req->cpu], req->entry);
	mutex_unlock(&low_page_lock);
	return err;
}
