// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device for AnT: taken from its driver on Linux's PNP bus, its interrupt line passed on.
 *
 * While AnT has the device, a driver of ours is bound to it, which does nothing: so no other is,
 * and the PNP layer has the device's ports and line switched on. AnT works the ports itself. The
 * line stays Linux's, for only Linux may write the interrupt controller: its handler notes the line
 * in the m-kernel's control page and rings.
 */
#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/ioport.h>
#include <linux/pnp.h>

#include "ant.h"

/* Knows no device, so it is bound only where take() binds it; nobody but us unbinds it. */
static struct pnp_driver driver = {
	.name = "ant",
	.driver = {
		.suppress_bind_attrs = true,
	},
};

int ant_devices_init(void)
{
	return pnp_register_driver(&driver);
}

void ant_devices_exit(void)
{
	pnp_unregister_driver(&driver);
}

/* What came is in the device; here AnT is only told that something did. */
static irqreturn_t line_handler(int irq, void *data)
{
	struct ant_partition *part = data;
	const struct ant_cpu *cpu = &part->cpus[0];

	/* The ring that follows orders it: AnT sees the bit when it looks. */
	set_bit(part->device.line, (unsigned long *)&cpu->control->interrupts);
	if (READ_ONCE(cpu->started))
		ant_cpu_ring(cpu);
	return IRQ_HANDLED;
}

/* Has it the ports and the line that the caller expects? */
static bool is_as_expected(struct device *dev, const struct ant_device_take *req)
{
	struct pnp_dev *pnp = to_pnp_dev(dev);

	return pnp_port_valid(pnp, 0) && pnp_port_start(pnp, 0) == req->port &&
	       pnp_port_len(pnp, 0) == req->ports && pnp_irq_valid(pnp, 0) &&
	       pnp_irq(pnp, 0) == req->line;
}

/*
 * A level stays until the device is served, which only AnT can do: our handler would be called
 * again and again.
 */
static bool is_level(struct device *dev)
{
	unsigned long levels = IORESOURCE_IRQ_HIGHLEVEL | IORESOURCE_IRQ_LOWLEVEL;

	return pnp_irq_flags(to_pnp_dev(dev), 0) & levels;
}

static int claim_resources(struct ant_partition *part, const struct ant_device_take *req)
{
	struct ant_device *device = &part->device;
	int err;

	snprintf(device->name, sizeof(device->name), "ant%u", part->id);
	if (!request_region(req->port, req->ports, device->name))
		return -EBUSY;
	err = request_irq(req->line, line_handler, 0, device->name, part);
	if (err) {
		release_region(req->port, req->ports);
		return err;
	}
	device->line = req->line;
	device->port = req->port;
	device->ports = req->ports;
	return 0;
}

static int bind(struct ant_partition *part, struct device *dev, const struct ant_device_take *req)
{
	int err;

	device_release_driver(dev);
	err = device_driver_attach(&driver.driver, dev);
	if (err)
		return err;
	err = claim_resources(part, req);
	if (err)
		device_release_driver(dev);
	return err;
}

static void give_to_linux(const struct ant_partition *part, struct device *dev)
{
	if (device_attach(dev) <= 0)
		pr_warn("ant%u: no driver of Linux's takes %s back\n", part->id, dev_name(dev));
}

static int take(struct ant_partition *part, struct device *dev, const struct ant_device_take *req)
{
	int err;

	if (!is_as_expected(dev, req))
		return -ENXIO;
	if (is_level(dev))
		return -EOPNOTSUPP;
	err = bind(part, dev, req);
	if (err) {
		give_to_linux(part, dev);
		return err;
	}
	part->device.dev = get_device(dev);
	part->device.passed_on = true;
	ant_boot_flag(part, req->flag);
	pr_info("ant%u: has %s, ports %#x-%#x, line %u\n", part->id, dev_name(dev), req->port,
		req->port + req->ports - 1, req->line);
	return 0;
}

/* Under the partition's lock. */
int ant_device_take(struct ant_partition *part, const struct ant_device_take *req)
{
	const char *name = (const char *)req->name;
	struct device *dev;
	int err;

	if (req->flag != ANT_BOOT_COM2 || req->line >= BITS_PER_LONG ||
	    strnlen(name, ANT_DEVICE_NAME) == ANT_DEVICE_NAME)
		return -EINVAL;
	/* AnT looks once, when it starts. */
	if (part->loaded || part->device.dev)
		return -EBUSY;
	dev = bus_find_device_by_name(driver.driver.bus, NULL, name);
	if (!dev)
		return -ENODEV;
	err = take(part, dev, req);
	put_device(dev);
	return err;
}

/* After this no handler of ours rings. */
void ant_device_quiet(struct ant_partition *part)
{
	if (part->device.passed_on)
		free_irq(part->device.line, part);
	part->device.passed_on = false;
}

/* When no CPU runs in AnT any more: until then, AnT may work the ports. */
void ant_device_give_back(struct ant_partition *part)
{
	struct ant_device *device = &part->device;
	struct device *dev = device->dev;

	if (!dev)
		return;
	release_region(device->port, device->ports);
	device_release_driver(dev);
	device->dev = NULL;
	give_to_linux(part, dev);
	put_device(dev);
}
