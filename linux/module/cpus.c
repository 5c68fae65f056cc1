// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs: taken from Linux and given back by its own CPU hotplug; in between, INIT and IPIs.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/topology.h>
#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/smp.h>

#include "ant.h"
#include "compat.h"

/* After an INIT the boot processor runs the firmware: the machine resets. */
static int may_be_taken(u32 linux_cpu, struct ant_partition_create *req)
{
	u32 low, high;

	if (!cpu_online(linux_cpu) ||
	    rdmsr_safe_on_cpu(linux_cpu, MSR_IA32_APICBASE, &low, &high))
		return ant_fail(req, ANT_FAILURE_OFFLINE, linux_cpu, -ENODEV);
	if (low & MSR_IA32_APICBASE_BSP)
		return ant_fail(req, ANT_FAILURE_BOOT_CPU, linux_cpu, -EPERM);
	return 0;
}

static int mark(struct ant_partition *part, u32 linux_cpu, struct ant_partition_create *req)
{
	struct ant_cpu *cpu = &part->cpus[part->cpu_count];
	u32 i;

	if (linux_cpu >= nr_cpu_ids || !cpu_present(linux_cpu))
		return ant_fail(req, ANT_FAILURE_NO_CPU, linux_cpu, -ENODEV);
	for (i = 0; i < part->cpu_count; i++)
		if (part->cpus[i].linux_cpu == linux_cpu)
			return ant_fail(req, ANT_FAILURE_CPU_TWICE, linux_cpu, -EINVAL);
	if (!ant_guard_mark(linux_cpu))
		return ant_fail(req, ANT_FAILURE_CPU_TAKEN, linux_cpu, -EBUSY);
	cpu->part = part;
	cpu->index = part->cpu_count++;
	cpu->linux_cpu = linux_cpu;
	cpu->apic_id = cpu_physical_id(linux_cpu);
	return may_be_taken(linux_cpu, req);
}

/* Checks the list of CPUs and marks them AnT's; Linux still runs on them. */
int ant_cpus_mark(struct ant_partition *part, struct ant_partition_create *req)
{
	u32 i;
	int err;

	if (req->cpu_count == 0 || req->cpu_count > ANT_MAX_CPUS)
		return ant_fail(req, ANT_FAILURE_CPU_COUNT, req->cpu_count, -EINVAL);
	for (i = 0; i < req->cpu_count; i++) {
		err = mark(part, req->cpus[i], req);
		if (err) {
			ant_cpus_unmark(part);
			return err;
		}
	}
	return 0;
}

/* Afterwards the CPUs may be another partition's. */
void ant_cpus_unmark(struct ant_partition *part)
{
	while (part->cpu_count)
		ant_guard_hold(part->cpus[--part->cpu_count].linux_cpu, ANT_HOLD_NONE);
}

static int take(struct ant_cpu *cpu, struct ant_partition_create *req)
{
	int err = remove_cpu(cpu->linux_cpu);

	if (err > 0)
		return ant_fail(req, ANT_FAILURE_OFFLINE, cpu->linux_cpu, -ENODEV);
	if (err)
		return ant_fail(req, ANT_FAILURE_CPU_BUSY, cpu->linux_cpu, err);
	ant_guard_hold(cpu->linux_cpu, ANT_HOLD_TAKEN);
	return 0;
}

static void give_back(const struct ant_cpu *cpu)
{
	u32 linux_cpu = cpu->linux_cpu;
	int err;

	ant_guard_hold(linux_cpu, ANT_HOLD_RETURNING);
	err = add_cpu(linux_cpu);
	/* More than 0: it is online already, by another hand. */
	if (err < 0)
		pr_err("ant%u: CPU %u does not come back (%d); try 'echo 1 > /sys/devices/system/cpu/cpu%u/online'\n",
		       cpu->part->id, linux_cpu, err, linux_cpu);
}

static void give_back_last(struct ant_partition *part, u32 count)
{
	while (count-- > 0)
		give_back(&part->cpus[count]);
}

/* Linux lets go of the CPUs: they are in its idle loop. */
int ant_cpus_take(struct ant_partition *part, struct ant_partition_create *req)
{
	u32 i;
	int err;

	for (i = 0; i < part->cpu_count; i++) {
		err = take(&part->cpus[i], req);
		if (err) {
			give_back_last(part, i);
			return err;
		}
	}
	return 0;
}

/* Takes memory, so the partition's is Linux's again. */
void ant_cpus_give_back(struct ant_partition *part)
{
	give_back_last(part, part->cpu_count);
}

/* The CPUs leave Linux's idle loop: code and stack of that are Linux's. */
int ant_cpus_park(struct ant_partition *part, struct ant_partition_create *req)
{
	ant_cpus_silence(part);
	return 0;
}

/*
 * INIT to every CPU: whatever it does, it waits for a SIPI afterwards, and only for that. So none
 * runs in AnT's memory any more.
 */
void ant_cpus_silence(struct ant_partition *part)
{
	u32 i;

	for (i = 0; i < part->cpu_count; i++) {
		ant_cpu_init(part->cpus[i].apic_id);
		part->cpus[i].started = false;
	}
	usleep_range(10000, 12000);
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

/* How long INIT is asserted. */
#define INIT_PULSE_US 200

/*
 * INIT as Intel's SDM vol. 3, 9.4.4 has it; the caller waits 10 ms before the next command. Does
 * not sleep: a panic uses it, too.
 */
void ant_cpu_init(u32 apic_id)
{
	ant_cpu_ipi(apic_id, APIC_INT_LEVELTRIG | APIC_INT_ASSERT | APIC_DM_INIT);
	udelay(INIT_PULSE_US);
	ant_cpu_ipi(apic_id, APIC_INT_LEVELTRIG | APIC_DM_INIT);
}

void ant_cpu_ring(const struct ant_cpu *cpu)
{
	ant_cpu_ipi(cpu->apic_id, APIC_DM_FIXED | ANT_DOORBELL_VECTOR);
}
