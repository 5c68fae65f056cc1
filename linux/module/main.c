// SPDX-License-Identifier: GPL-2.0-only
/*
 * ant.ko: lends CPUs and memory of a running Linux to AnT and carries system calls back.
 *
 * Mechanism only. Whatever needs to know a file format, a policy or what a system call means is
 * antd's. This file: what lives as long as the module.
 */
#include <linux/cc_platform.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <asm/cpufeature.h>

#include "ant.h"

static struct miscdevice ant_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ant",
	.fops = &ant_file_operations,
	.mode = 0600,
};

static int __init ant_init(void)
{
	int err;

	/* AnT's page tables do not carry the encryption bit. */
	if (!boot_cpu_has(X86_FEATURE_APIC) || cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return -ENODEV;
	err = ant_guard_init();
	if (err)
		return err;
	err = ant_doorbells_init();
	if (err)
		goto no_doorbells;
	err = ant_devices_init();
	if (err)
		goto no_devices;
	err = misc_register(&ant_device);
	if (err)
		goto no_device;
	return 0;

no_device:
	ant_devices_exit();
no_devices:
	ant_doorbells_exit();
no_doorbells:
	ant_guard_exit();
	return err;
}

/* No file is open here (the files pin the module), so no partition lives. */
static void __exit ant_exit(void)
{
	misc_deregister(&ant_device);
	ant_devices_exit();
	ant_doorbells_exit();
	ant_guard_exit();
}

module_init(ant_init);
module_exit(ant_exit);

MODULE_DESCRIPTION("Lends CPUs and memory to the AnT kernel and carries its Linux calls");
MODULE_AUTHOR("The AnT/Linux authors");
MODULE_LICENSE("GPL");
