// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guard: keeps the rest of Linux from wrecking a running AnT, and AnT from wrecking the next Linux.
 *
 * `owned` is the one place that says which CPUs are AnT's. A CPU is marked before Linux lets go
 * of it and unmarked before Linux takes it back, so that in between nothing else brings it online.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/reboot.h>
#include <linux/suspend.h>

#include "ant.h"

static struct cpumask owned;
static enum cpuhp_state hotplug_state;

bool ant_guard_mark(u32 cpu)
{
	return !cpumask_test_and_set_cpu(cpu, &owned);
}

void ant_guard_unmark(u32 cpu)
{
	cpumask_clear_cpu(cpu, &owned);
}

/* Runs under the hotplug locks. -EPERM: 6.12 tries again on -EBUSY. */
static int hotplug_prepare(unsigned int cpu)
{
	if (!cpumask_test_cpu(cpu, &owned))
		return 0;
	pr_warn_ratelimited("ant: CPU %u belongs to AnT; stop the partition first\n", cpu);
	return -EPERM;
}

/* kexec starts the next Linux in memory that AnT's CPUs still write. */
static int reboot_notify(struct notifier_block *block, unsigned long event, void *data)
{
	u32 cpu;

	for_each_cpu(cpu, &owned)
		if (!cpu_online(cpu))
			ant_cpu_init(cpu_physical_id(cpu));
	usleep_range(10000, 12000);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_block = { .notifier_call = reboot_notify };

/* AnT does not survive sleep: its CPUs lose their state, its memory is in no image. */
static int sleep_notify(struct notifier_block *block, unsigned long event, void *data)
{
	if ((event != PM_SUSPEND_PREPARE && event != PM_HIBERNATION_PREPARE) ||
	    cpumask_empty(&owned))
		return NOTIFY_DONE;
	pr_warn("ant: no sleep while a partition lives; stop it first\n");
	return NOTIFY_BAD;
}

static struct notifier_block sleep_block = { .notifier_call = sleep_notify };

int ant_guard_init(void)
{
	int err = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "ant:guard", hotplug_prepare,
					    NULL);

	if (err < 0)
		return err;
	hotplug_state = err;
	err = register_reboot_notifier(&reboot_block);
	if (err)
		goto no_reboot;
	err = register_pm_notifier(&sleep_block);
	if (err)
		goto no_sleep;
	return 0;

no_sleep:
	unregister_reboot_notifier(&reboot_block);
no_reboot:
	cpuhp_remove_state_nocalls(hotplug_state);
	return err;
}

void ant_guard_exit(void)
{
	unregister_pm_notifier(&sleep_block);
	unregister_reboot_notifier(&reboot_block);
	cpuhp_remove_state_nocalls(hotplug_state);
}
