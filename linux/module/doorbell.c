// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells: how an AnT CPU interrupts Linux.
 *
 * Each AnT CPU has an ordinary Linux irq out of the vector domain, seen and moved like a device's
 * (/proc/interrupts, /proc/irq/N/smp_affinity, CPU hotplug). Wherever it moves, the route in the
 * CPU's control page follows as one 64-bit store; AnT reads it before every ring. The other way,
 * AnT takes a fixed vector (ant_cpu_ring()).
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/poll.h>
#include <asm/hw_irq.h>
#include <asm/irqdomain.h>
#include <asm/msr.h>
#include <asm/smp.h>

#include "ant.h"
#include "compat.h"

static struct fwnode_handle *doorbell_fwnode;
static struct irq_domain *doorbell_domain;

/* A doorbell may say that there are requests, or that AnT has panicked. */
static void look(struct ant_cpu *cpu)
{
	ant_requests_post(cpu);
	if (READ_ONCE(cpu->control->state) == ANT_CPU_PANICKED)
		wake_up_interruptible_poll(&cpu->part->wait, EPOLLPRI);
}

static void look_later(struct work_struct *work)
{
	look(container_of(work, struct ant_cpu, look));
}

/*
 * Tells AnT where to ring. A ring that is on its way to the old place still arrives: Linux keeps
 * the old vector until the new one has fired. Only when a CPU goes offline it does not, so what it
 * would have said is looked for.
 */
static void publish_route(struct irq_data *data)
{
	struct ant_cpu *cpu = irq_data_get_irq_chip_data(data);
	u32 linux_cpu = cpumask_first(irq_data_get_effective_affinity_mask(data));
	u64 apic_id;

	if (linux_cpu >= nr_cpu_ids)
		return;
	apic_id = cpu_physical_id(linux_cpu);
	WRITE_ONCE(cpu->control->route,
		   apic_id << ANT_ROUTE_APIC_SHIFT | irqd_cfg(data)->vector);
	/* Pairs with AnT's between its entry and this route: it sees ours or we see its. */
	smp_mb();
	/* Here the irq's descriptor is locked. */
	queue_work(system_unbound_wq, &cpu->look);
}

static int doorbell_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	int ret = irq_chip_set_affinity_parent(data, mask, force);

	if (ret >= 0)
		publish_route(data);
	return ret;
}

/* There is nothing to mask at the source: AnT rings or does not. */
static void doorbell_mask(struct irq_data *data)
{
}

static struct irq_chip doorbell_chip = {
	.name = "AnT",
	.irq_mask = doorbell_mask,
	.irq_unmask = doorbell_mask,
	.irq_ack = irq_chip_ack_parent,
	.irq_retrigger = irq_chip_retrigger_hierarchy,
	.irq_set_affinity = doorbell_set_affinity,
};

static int domain_alloc(struct irq_domain *domain, unsigned int virq, unsigned int count,
			void *arg)
{
	struct irq_alloc_info *info = arg;
	int err = irq_domain_alloc_irqs_parent(domain, virq, count, info);

	if (err)
		return err;
	irq_domain_set_info(domain, virq, virq, &doorbell_chip, info->data, handle_edge_irq,
			    NULL, "edge");
	return 0;
}

static const struct irq_domain_ops domain_ops = {
	.alloc = domain_alloc,
	.free = irq_domain_free_irqs_common,
};

int ant_doorbells_init(void)
{
	doorbell_fwnode = irq_domain_alloc_named_fwnode("AnT");
	if (!doorbell_fwnode)
		return -ENOMEM;
	doorbell_domain = irq_domain_create_hierarchy(x86_vector_domain, 0, 0, doorbell_fwnode,
						      &domain_ops, NULL);
	if (doorbell_domain)
		return 0;
	irq_domain_free_fwnode(doorbell_fwnode);
	return -ENOMEM;
}

void ant_doorbells_exit(void)
{
	irq_domain_remove(doorbell_domain);
	irq_domain_free_fwnode(doorbell_fwnode);
}

static irqreturn_t doorbell_handler(int irq, void *data)
{
	struct ant_cpu *cpu = data;

	WRITE_ONCE(cpu->doorbell_tsc, rdtsc_ordered());
	WRITE_ONCE(cpu->doorbell_cpu, smp_processor_id());
	WRITE_ONCE(cpu->control->linux_doorbells, ++cpu->doorbells);
	look(cpu);
	return IRQ_HANDLED;
}

static int take_doorbell(struct ant_cpu *cpu)
{
	struct irq_alloc_info info = { .data = cpu };
	int irq = irq_domain_alloc_irqs(doorbell_domain, 1, cpu_to_node(0), &info);
	int err;

	if (irq < 0)
		return irq;
	INIT_WORK(&cpu->look, look_later);
	snprintf(cpu->irq_name, sizeof(cpu->irq_name), "ant%u-cpu%u", cpu->part->id,
		 cpu->index);
	ant_irq_moves_at_once(irq);
	/* Assigns the vector and, through doorbell_set_affinity(), publishes the route. */
	err = request_irq(irq, doorbell_handler, 0, cpu->irq_name, cpu);
	if (err) {
		cancel_work_sync(&cpu->look);
		irq_dispose_mapping(irq);
		return err;
	}
	cpu->irq = irq;
	return READ_ONCE(cpu->control->route) == ANT_ROUTE_NONE ? -ENOSPC : 0;
}

int ant_doorbells_take(struct ant_partition *part, struct ant_partition_create *req)
{
	u32 i;
	int err;

	for (i = 0; i < part->cpu_count; i++) {
		err = take_doorbell(&part->cpus[i]);
		if (err) {
			ant_doorbells_give_back(part);
			return ant_fail(req, ANT_FAILURE_NO_VECTOR, part->cpus[i].linux_cpu, err);
		}
	}
	return 0;
}

/* No CPU rings any more, or none does yet. */
void ant_doorbells_give_back(struct ant_partition *part)
{
	u32 i;

	for (i = part->cpu_count; i-- > 0;) {
		struct ant_cpu *cpu = &part->cpus[i];

		if (!cpu->irq)
			continue;
		free_irq(cpu->irq, cpu);
		cancel_work_sync(&cpu->look);
		irq_dispose_mapping(cpu->irq);
		cpu->irq = 0;
	}
}
