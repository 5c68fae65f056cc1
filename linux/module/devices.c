// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices for AnT: a list of those of each partition, its buses, and interrupts.
 *
 * What depends on a bus is behind struct ant_bus; what a device is for, only antd and AnT's servers
 * know. An irq stays Linux's, for only Linux may write the interrupt controller: the handler notes
 * the interrupt in the control page of the CPU that AnT wants it on, and rings that CPU.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/ioport.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "ant.h"

static const struct ant_bus *const buses[] = {
	&ant_bus_pnp,
};

/* A device is one partition's: taking and giving back happen one at a time. */
static DEFINE_MUTEX(devices_lock);

static void buses_exit(int count)
{
	while (count-- > 0)
		buses[count]->exit();
}

int ant_devices_init(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(buses); i++) {
		err = buses[i]->init();
		if (err) {
			buses_exit(i);
			return err;
		}
	}
	return 0;
}

void ant_devices_exit(void)
{
	buses_exit(ARRAY_SIZE(buses));
}

static const struct ant_bus *find_bus(u32 id)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(buses); i++)
		if (buses[i]->id == id)
			return buses[i];
	return NULL;
}

int ant_device_add_resource(struct ant_device *device, u32 kind, u64 start, u64 len)
{
	struct ant_boot_device *info = &device->info;
	struct ant_resource *resource = &info->resources[info->resource_count];

	if (info->resource_count == ANT_DEVICE_RESOURCES)
		return -EOPNOTSUPP;
	if (kind == ANT_RESOURCE_INTERRUPT)
		*resource = (struct ant_resource){ .kind = kind, .line = start };
	else
		*resource = (struct ant_resource){ .kind = kind, .start = start, .len = len };
	info->resource_count++;
	return 0;
}

/* Where AnT wants an interrupt. What it has written is read once, then checked. */
static const struct ant_cpu *target(const struct ant_interrupt *interrupt)
{
	const struct ant_partition *part = interrupt->part;
	const struct ant_cpu_control *control = part->cpus[0].control;
	u32 cpu = READ_ONCE(control->interrupt_targets[interrupt->index]);

	return &part->cpus[cpu < part->cpu_count ? cpu : 0];
}

/* Why it came is in the device; here AnT is only told that it did. */
static irqreturn_t forward_irq(int irq, void *data)
{
	const struct ant_interrupt *interrupt = data;
	const struct ant_cpu *cpu = target(interrupt);

	/* The ring that follows orders it: AnT sees the bit when it looks. */
	set_bit(interrupt->index, (unsigned long *)&cpu->control->interrupts);
	if (READ_ONCE(cpu->started))
		ant_cpu_ring(cpu);
	return IRQ_HANDLED;
}

/* Forwards an irq from now on, as an interrupt that the partition has not yet. */
static int claim_irq(struct ant_device *device, struct ant_resource *resource)
{
	struct ant_partition *part = device->part;
	struct ant_interrupt *interrupt = &device->interrupts[device->irqs_forwarded];
	u32 index = find_first_zero_bit(part->interrupts, ANT_MAX_INTERRUPTS);
	int err;

	if (index == ANT_MAX_INTERRUPTS)
		return -ENOSPC;
	*interrupt = (struct ant_interrupt){
		.part = part,
		.index = index,
		.irq = resource->line,
	};
	err = request_irq(interrupt->irq, forward_irq, 0, device->label, interrupt);
	if (err)
		return err;
	device->irqs_forwarded++;
	__set_bit(index, part->interrupts);
	resource->start = index;
	resource->len = 1;
	return 0;
}

static int claim(struct ant_device *device, struct ant_resource *resource)
{
	bool got;

	if (resource->kind == ANT_RESOURCE_INTERRUPT)
		return claim_irq(device, resource);
	if (resource->kind == ANT_RESOURCE_PORTS)
		got = request_region(resource->start, resource->len, device->label);
	else
		got = request_mem_region(resource->start, resource->len, device->label);
	return got ? 0 : -EBUSY;
}

/* Claims all that was added, so that no other driver does, and forwards the interrupts. */
int ant_device_claim(struct ant_device *device)
{
	int err;

	for (; device->claimed < device->info.resource_count; device->claimed++) {
		err = claim(device, &device->info.resources[device->claimed]);
		if (err) {
			ant_device_free_irqs(device);
			ant_device_release_regions(device);
			return err;
		}
	}
	return 0;
}

/* After this none of the device's interrupts is forwarded. */
void ant_device_free_irqs(struct ant_device *device)
{
	while (device->irqs_forwarded) {
		struct ant_interrupt *interrupt = &device->interrupts[--device->irqs_forwarded];

		free_irq(interrupt->irq, interrupt);
		__clear_bit(interrupt->index, device->part->interrupts);
	}
}

void ant_device_release_regions(struct ant_device *device)
{
	while (device->claimed) {
		const struct ant_resource *resource = &device->info.resources[--device->claimed];

		if (resource->kind == ANT_RESOURCE_PORTS)
			release_region(resource->start, resource->len);
		else if (resource->kind == ANT_RESOURCE_MEMORY)
			release_mem_region(resource->start, resource->len);
	}
}

static struct ant_device *alloc_device(struct ant_partition *part, const struct ant_bus *bus,
				       struct device *dev, const struct ant_device_take *req)
{
	struct ant_device *device = kzalloc(sizeof(*device), GFP_KERNEL);

	if (!device)
		return NULL;
	device->part = part;
	device->bus = bus;
	device->dev = get_device(dev);
	device->info.bus = bus->id;
	memcpy(device->info.name, req->name, ANT_DEVICE_NAME);
	memcpy(device->info.address, req->address, ANT_DEVICE_NAME);
	snprintf(device->label, sizeof(device->label), "ant%u", part->id);
	return device;
}

static void free_device(struct ant_device *device)
{
	put_device(device->dev);
	kfree(device);
}

static int take(struct ant_partition *part, const struct ant_bus *bus, struct device *dev,
		struct ant_device_take *req)
{
	struct ant_device *device = alloc_device(part, bus, dev, req);
	int err;

	if (!device)
		return -ENOMEM;
	mutex_lock(&devices_lock);
	err = bus->take(device);
	mutex_unlock(&devices_lock);
	if (err) {
		free_device(device);
		return err;
	}
	list_add(&device->node, &part->devices);
	req->index = part->device_count++;
	req->device = device->info;
	ant_boot_add_device(part, req->index, &device->info);
	pr_info("ant%u: has %s of bus %s\n", part->id, dev_name(dev), bus->name);
	return 0;
}

static bool is_name(const u8 *name)
{
	return *name && strnlen((const char *)name, ANT_DEVICE_NAME) < ANT_DEVICE_NAME;
}

static bool has_named(const struct ant_partition *part, const u8 *name)
{
	const struct ant_device *device;

	list_for_each_entry(device, &part->devices, node)
		if (!strcmp((const char *)device->info.name, (const char *)name))
			return true;
	return false;
}

/* Under the partition's lock. */
int ant_device_take(struct ant_partition *part, struct ant_device_take *req)
{
	const struct ant_bus *bus = find_bus(req->bus);
	struct device *dev;
	int err;

	if (!bus || !is_name(req->address) || !is_name(req->name))
		return -EINVAL;
	/* AnT looks once, when it starts. */
	if (part->loaded)
		return -EBUSY;
	if (has_named(part, req->name))
		return -EEXIST;
	if (part->device_count == ANT_MAX_DEVICES)
		return -ENOSPC;
	dev = bus->find((const char *)req->address);
	if (!dev)
		return -ENODEV;
	err = take(part, bus, dev, req);
	put_device(dev);
	return err;
}

/* After this no handler of ours rings. The last taken first, as in all that follows. */
void ant_devices_quiet(struct ant_partition *part)
{
	struct ant_device *device;

	list_for_each_entry(device, &part->devices, node)
		device->bus->quiet(device);
}

/* When no CPU runs in AnT any more: until then, AnT may work the devices. */
void ant_devices_give_back(struct ant_partition *part)
{
	struct ant_device *device, *next;

	mutex_lock(&devices_lock);
	list_for_each_entry_safe(device, next, &part->devices, node) {
		list_del(&device->node);
		device->bus->give_back(device);
		free_device(device);
	}
	mutex_unlock(&devices_lock);
}
