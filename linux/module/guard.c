// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guard: keeps the rest of Linux from wrecking a running AnT, and AnT from wrecking the next Linux.
 *
 * `holds` is the one place that says which CPUs are AnT's. A CPU is marked before Linux lets go of
 * it and no partition's again when Linux has brought it online, so that in between nothing else
 * does, and no other partition marks it.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/panic_notifier.h>
#include <linux/percpu.h>
#include <linux/reboot.h>
#include <linux/suspend.h>

#include "ant.h"

/* From ANT_HOLD_NONE, the partition that marks the CPU moves it; from then on, only that one. */
static DEFINE_PER_CPU(enum ant_hold, holds);
static enum cpuhp_state hotplug_state;

bool ant_guard_mark(u32 cpu)
{
	return cmpxchg(per_cpu_ptr(&holds, cpu), ANT_HOLD_NONE, ANT_HOLD_MARKED) == ANT_HOLD_NONE;
}

void ant_guard_hold(u32 cpu, enum ant_hold hold)
{
	/* What was done with the CPU before is done when the next partition marks it. */
	smp_store_release(per_cpu_ptr(&holds, cpu), hold);
}

static enum ant_hold hold_of(u32 cpu)
{
	return READ_ONCE(*per_cpu_ptr(&holds, cpu));
}

/* Runs under the hotplug locks. -EPERM: 6.12 tries again on -EBUSY. */
static int hotplug_prepare(unsigned int cpu)
{
	enum ant_hold hold = hold_of(cpu);

	if (hold == ANT_HOLD_NONE || hold == ANT_HOLD_RETURNING)
		return 0;
	pr_warn_ratelimited("ant: CPU %u belongs to AnT; stop the partition first\n", cpu);
	return -EPERM;
}

/* The caller waits 10 ms before anything else starts these CPUs. */
static void silence(void)
{
	u32 cpu;

	for_each_possible_cpu(cpu)
		if (hold_of(cpu) == ANT_HOLD_TAKEN)
			ant_cpu_init(cpu_physical_id(cpu));
}

/* kexec starts the next Linux in memory that AnT's CPUs still write. */
static int reboot_notify(struct notifier_block *block, unsigned long event, void *data)
{
	silence();
	usleep_range(10000, 12000);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_block = { .notifier_call = reboot_notify };

/*
 * A crash kernel shall find no CPU that rings it or still writes what it dumps. Linux starts it
 * before it calls this, unless it was told `crash_kexec_post_notifiers`.
 */
static int panic_notify(struct notifier_block *block, unsigned long event, void *data)
{
	silence();
	mdelay(10);
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = { .notifier_call = panic_notify };

static bool any_held(void)
{
	u32 cpu;

	for_each_possible_cpu(cpu)
		if (hold_of(cpu) != ANT_HOLD_NONE)
			return true;
	return false;
}

/*
 * AnT does not survive sleep: its CPUs lose their state, its memory is in no image. Nor does it
 * survive that an image of another Linux is read into this one's place.
 */
static bool is_fatal(unsigned long event)
{
	return event == PM_SUSPEND_PREPARE || event == PM_HIBERNATION_PREPARE ||
	       event == PM_RESTORE_PREPARE;
}

static int sleep_notify(struct notifier_block *block, unsigned long event, void *data)
{
	if (!is_fatal(event) || !any_held())
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
	err = atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	if (err)
		goto no_panic;
	return 0;

no_panic:
	unregister_pm_notifier(&sleep_block);
no_sleep:
	unregister_reboot_notifier(&reboot_block);
no_reboot:
	cpuhp_remove_state_nocalls(hotplug_state);
	return err;
}

void ant_guard_exit(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	unregister_pm_notifier(&sleep_block);
	unregister_reboot_notifier(&reboot_block);
	cpuhp_remove_state_nocalls(hotplug_state);
}
