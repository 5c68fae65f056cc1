// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs: taken from Linux and given back by its own CPU hotplug; in between, INIT and IPIs.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/topology.h>
#include <asm/apic.h>
#include <asm/processor.h>
#include <asm/smp.h>

#include "ant.h"
#include "compat.h"

/* Once: afterwards the CPU may be another partition's. */
static void unmark(struct ant_cpu *cpu)
{
	if (cpu->marked)
		ant_guard_unmark(cpu->linux_cpu);
	cpu->marked = false;
}

static int claim(struct ant_partition *part, u32 linux_cpu, struct ant_partition_create *req)
{
	struct ant_cpu *cpu = &part->cpus[part->cpu_count];
	u32 i;

	if (linux_cpu >= nr_cpu_ids || !cpu_present(linux_cpu))
		return ant_fail(req, ANT_FAILURE_NO_CPU, linux_cpu, -ENODEV);
	if (linux_cpu == 0)
		return ant_fail(req, ANT_FAILURE_BOOT_CPU, linux_cpu, -EPERM);
	for (i = 0; i < part->cpu_count; i++)
		if (part->cpus[i].linux_cpu == linux_cpu)
			return ant_fail(req, ANT_FAILURE_CPU_TWICE, linux_cpu, -EINVAL);
	if (!ant_guard_mark(linux_cpu))
		return ant_fail(req, ANT_FAILURE_CPU_TAKEN, linux_cpu, -EBUSY);
	cpu->marked = true;
	cpu->part = part;
	cpu->index = part->cpu_count++;
	cpu->linux_cpu = linux_cpu;
	cpu->apic_id = cpu_physical_id(linux_cpu);
	spin_lock_init(&cpu->request_lock);
	spin_lock_init(&cpu->ret_lock);
	if (!cpu_online(linux_cpu))
		return ant_fail(req, ANT_FAILURE_OFFLINE, linux_cpu, -ENODEV);
	return 0;
}

/* Checks the list of CPUs and marks them AnT's; Linux still runs on them. */
int ant_cpus_claim(struct ant_partition *part, struct ant_partition_create *req)
{
	u32 i;
	int err;

	if (req->cpu_count == 0 || req->cpu_count > ANT_MAX_CPUS)
		return ant_fail(req, ANT_FAILURE_CPU_COUNT, req->cpu_count, -EINVAL);
	for (i = 0; i < req->cpu_count; i++) {
		err = claim(part, req->cpus[i], req);
		if (err) {
			ant_cpus_disclaim(part);
			return err;
		}
	}
	return 0;
}

void ant_cpus_disclaim(struct ant_partition *part)
{
	u32 i;

	for (i = 0; i < part->cpu_count; i++)
		unmark(&part->cpus[i]);
}

static int take(struct ant_cpu *cpu, struct ant_partition_create *req)
{
	int err = remove_cpu(cpu->linux_cpu);

	if (err > 0)
		return ant_fail(req, ANT_FAILURE_OFFLINE, cpu->linux_cpu, -ENODEV);
	if (err)
		return ant_fail(req, ANT_FAILURE_CPU_BUSY, cpu->linux_cpu, err);
	cpu->taken = true;
	return 0;
}

/* INIT to every CPU: whatever it does, it waits for a SIPI afterwards, and only for that. */
static void park_cpus(struct ant_partition *part)
{
	u32 i;

	for (i = 0; i < part->cpu_count; i++) {
		if (!part->cpus[i].taken)
			continue;
		ant_cpu_init(part->cpus[i].apic_id);
		part->cpus[i].started = false;
	}
	usleep_range(10000, 12000);
}

/* Linux lets go of the CPUs. They leave its idle loop: code and stack of that are Linux's. */
int ant_cpus_take(struct ant_partition *part, struct ant_partition_create *req)
{
	u32 i;
	int err;

	for (i = 0; i < part->cpu_count; i++) {
		err = take(&part->cpus[i], req);
		if (err) {
			ant_cpus_give_back(part);
			return err;
		}
	}
	park_cpus(part);
	return 0;
}

/* After this no CPU runs in AnT's memory. */
void ant_cpus_give_back(struct ant_partition *part)
{
	u32 i;
	int err;

	park_cpus(part);
	for (i = part->cpu_count; i-- > 0;) {
		struct ant_cpu *cpu = &part->cpus[i];

		if (!cpu->taken)
			continue;
		unmark(cpu);
		err = add_cpu(cpu->linux_cpu);
		if (err)
			pr_err("ant%u: CPU %u does not come back (%d); try 'echo 1 > /sys/devices/system/cpu/cpu%u/online'\n",
			       part->id, cpu->linux_cpu, err, cpu->linux_cpu);
		cpu->taken = false;
	}
}

/*
 * One IPI. Interrupts are off so that no handler of this CPU writes the command register between
 * the wait and the write.
 */
void ant_cpu_ipi(u32 apic_id, u32 command)
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

/* INIT as Intel's SDM vol. 3, 9.4.4 has it; the caller waits 10 ms before the next command. */
void ant_cpu_init(u32 apic_id)
{
	ant_cpu_ipi(apic_id, APIC_INT_LEVELTRIG | APIC_INT_ASSERT | APIC_DM_INIT);
	usleep_range(200, 300);
	ant_cpu_ipi(apic_id, APIC_INT_LEVELTRIG | APIC_DM_INIT);
}

void ant_cpu_ring(const struct ant_cpu *cpu)
{
	ant_cpu_ipi(cpu->apic_id, APIC_DM_FIXED | ANT_DOORBELL_VECTOR);
}
