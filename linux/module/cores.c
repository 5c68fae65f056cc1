// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cores: taken from Linux and given back by its own CPU hotplug; in between, INIT and IPIs.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/topology.h>
#include <asm/apic.h>
#include <asm/processor.h>
#include <asm/smp.h>

#include "ant.h"
#include "compat.h"

/* Once: afterwards the core may be another partition's. */
static void unmark(struct ant_core *core)
{
	if (core->marked)
		ant_guard_unmark(core->cpu);
	core->marked = false;
}

static int claim(struct ant_partition *part, u32 cpu, struct ant_partition_create *req)
{
	struct ant_core *core = &part->cores[part->core_count];
	u32 i;

	if (cpu >= nr_cpu_ids || !cpu_present(cpu))
		return ant_fail(req, ANT_FAILURE_NO_CPU, cpu, -ENODEV);
	if (cpu == 0)
		return ant_fail(req, ANT_FAILURE_BOOT_CPU, cpu, -EPERM);
	for (i = 0; i < part->core_count; i++)
		if (part->cores[i].cpu == cpu)
			return ant_fail(req, ANT_FAILURE_CPU_TWICE, cpu, -EINVAL);
	if (!ant_guard_mark(cpu))
		return ant_fail(req, ANT_FAILURE_CPU_TAKEN, cpu, -EBUSY);
	core->marked = true;
	core->part = part;
	core->index = part->core_count++;
	core->cpu = cpu;
	core->apic_id = cpu_physical_id(cpu);
	spin_lock_init(&core->ret_lock);
	if (!cpu_online(cpu))
		return ant_fail(req, ANT_FAILURE_OFFLINE, cpu, -ENODEV);
	return 0;
}

/* Checks the list of cores and marks them AnT's; Linux still runs on them. */
int ant_cores_claim(struct ant_partition *part, struct ant_partition_create *req)
{
	u32 i;
	int err;

	if (req->cpu_count == 0 || req->cpu_count > ANT_MAX_CORES)
		return ant_fail(req, ANT_FAILURE_CPU_COUNT, req->cpu_count, -EINVAL);
	for (i = 0; i < req->cpu_count; i++) {
		err = claim(part, req->cpus[i], req);
		if (err) {
			ant_cores_disclaim(part);
			return err;
		}
	}
	return 0;
}

void ant_cores_disclaim(struct ant_partition *part)
{
	u32 i;

	for (i = 0; i < part->core_count; i++)
		unmark(&part->cores[i]);
}

static int take(struct ant_core *core, struct ant_partition_create *req)
{
	int err = remove_cpu(core->cpu);

	if (err > 0)
		return ant_fail(req, ANT_FAILURE_OFFLINE, core->cpu, -ENODEV);
	if (err)
		return ant_fail(req, ANT_FAILURE_CPU_BUSY, core->cpu, err);
	core->taken = true;
	return 0;
}

/* INIT to every core: whatever it does, it waits for a SIPI afterwards, and only for that. */
static void silence(struct ant_partition *part)
{
	u32 i;

	for (i = 0; i < part->core_count; i++) {
		if (!part->cores[i].taken)
			continue;
		ant_core_init(part->cores[i].apic_id);
		part->cores[i].started = false;
	}
	usleep_range(10000, 12000);
}

/* Linux lets go of the cores. They leave its idle loop, whose code and stack are Linux's. */
int ant_cores_take(struct ant_partition *part, struct ant_partition_create *req)
{
	u32 i;
	int err;

	for (i = 0; i < part->core_count; i++) {
		err = take(&part->cores[i], req);
		if (err) {
			ant_cores_give_back(part);
			return err;
		}
	}
	silence(part);
	return 0;
}

/* After this no core runs in AnT's memory. */
void ant_cores_give_back(struct ant_partition *part)
{
	u32 i;
	int err;

	silence(part);
	for (i = part->core_count; i-- > 0;) {
		struct ant_core *core = &part->cores[i];

		if (!core->taken)
			continue;
		unmark(core);
		err = add_cpu(core->cpu);
		if (err)
			pr_err("ant%u: CPU %u does not come back (%d); try 'echo 1 > /sys/devices/system/cpu/cpu%u/online'\n",
			       part->id, core->cpu, err, core->cpu);
		core->taken = false;
	}
}

/*
 * One IPI. Interrupts are off so that no handler of this CPU writes the command register between
 * the wait and the write.
 */
void ant_core_ipi(u32 apic_id, u32 command)
{
	unsigned long flags;

	local_irq_save(flags);
	/* Pairs with AnT's handler: what was stored before is there. The x2APIC orders nothing. */
	smp_mb();
	weak_wrmsr_fence();
	ant_wait_icr_idle();
	apic->icr_write(command, apic_id);
	local_irq_restore(flags);
}

/* INIT as Intel's SDM vol. 3, 9.4.4 has it; whoever calls waits 10 ms before the next command. */
void ant_core_init(u32 apic_id)
{
	ant_core_ipi(apic_id, APIC_INT_LEVELTRIG | APIC_INT_ASSERT | APIC_DM_INIT);
	usleep_range(200, 300);
	ant_core_ipi(apic_id, APIC_INT_LEVELTRIG | APIC_DM_INIT);
}

void ant_core_ring(const struct ant_core *core)
{
	ant_core_ipi(core->apic_id, APIC_DM_FIXED | ANT_DOORBELL_VECTOR);
}
