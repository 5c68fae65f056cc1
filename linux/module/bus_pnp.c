// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux's PNP bus: takes devices from their drivers and gives them back.
 *
 * While AnT has a device, a driver of ours is bound to it, which does nothing: so no other is, and
 * the PNP layer has the device's resources switched on. AnT works the device itself.
 */
#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/pnp.h>
#include <linux/string.h>

#include "ant.h"

/* Knows no device, so it is bound only where take() binds it; only give_back() unbinds it. */
static struct pnp_driver driver = {
	.name = "ant",
	.driver = {
		.suppress_bind_attrs = true,
	},
};

static int register_driver(void)
{
	return pnp_register_driver(&driver);
}

static void unregister_driver(void)
{
	pnp_unregister_driver(&driver);
}

static struct device *find(const char *address)
{
	return bus_find_device_by_name(driver.driver.bus, NULL, address);
}

/*
 * A level stays until the device is served, which only AnT can do: our handler would be called
 * again and again.
 */
static bool is_level(const struct resource *resource)
{
	return resource->flags & (IORESOURCE_IRQ_HIGHLEVEL | IORESOURCE_IRQ_LOWLEVEL);
}

/* Adds the resources of one type, or says why AnT cannot have them. */
static int describe_type(struct ant_device *device, unsigned int type, u32 kind)
{
	struct pnp_dev *pnp = to_pnp_dev(device->dev);
	const struct resource *resource;
	unsigned int i;
	int err = 0;

	for (i = 0; !err && (resource = pnp_get_resource(pnp, type, i)); i++) {
		if (resource->flags & IORESOURCE_DISABLED)
			continue;
		if (type == IORESOURCE_DMA || (type == IORESOURCE_IRQ && is_level(resource)))
			return -EOPNOTSUPP;
		err = ant_device_add_resource(device, kind, resource->start,
					      resource_size(resource));
	}
	return err;
}

static int describe(struct ant_device *device)
{
	static const struct {
		unsigned int type;
		u32 kind;
	} types[] = {
		{ IORESOURCE_DMA, 0 },
		{ IORESOURCE_IO, ANT_RESOURCE_PORTS },
		{ IORESOURCE_MEM, ANT_RESOURCE_MEMORY },
		{ IORESOURCE_IRQ, ANT_RESOURCE_INTERRUPT },
	};
	const struct pnp_id *id = to_pnp_dev(device->dev)->id;
	int i, err = 0;

	if (id)
		memcpy(device->info.id, id->id, strnlen(id->id, sizeof(device->info.id) - 1));
	device->info.resource_count = 0;
	for (i = 0; !err && i < ARRAY_SIZE(types); i++)
		err = describe_type(device, types[i].type, types[i].kind);
	return err;
}

static int attach(struct ant_device *device)
{
	int err = device_driver_attach(&driver.driver, device->dev);

	if (err)
		return err;
	/* The PNP layer may have assigned other resources when it switched the device on. */
	err = describe(device);
	if (!err)
		err = ant_device_claim(device);
	if (err)
		device_release_driver(device->dev);
	return err;
}

static void give_to_linux(const struct ant_device *device)
{
	if (device_attach(device->dev) <= 0)
		pr_warn("ant%u: no driver of Linux's takes %s back\n", device->part->id,
			dev_name(device->dev));
}

static int take(struct ant_device *device)
{
	int err;

	/* Another partition, or this one, has it. */
	if (device->dev->driver == &driver.driver)
		return -EBUSY;
	/* Before its driver lets go of it: what AnT cannot have stays as it is. */
	err = describe(device);
	if (err)
		return err;
	device_release_driver(device->dev);
	err = attach(device);
	if (err)
		give_to_linux(device);
	return err;
}

static void give_back(struct ant_device *device)
{
	ant_device_release_regions(device);
	device_release_driver(device->dev);
	give_to_linux(device);
}

const struct ant_bus ant_bus_pnp = {
	.id = ANT_BUS_PNP,
	.name = "pnp",
	.init = register_driver,
	.exit = unregister_driver,
	.find = find,
	.take = take,
	.quiet = ant_device_free_irqs,
	.give_back = give_back,
};
