//! Prints the module's C header, `linux/module/ant_abi.h`.
//!
//! `./ant check` runs it and fails when the committed header differs.

use ant_abi::{Constant, Struct, boot, cpu_block, device, layout, lca, store};

/// What the module sees, in an order in which C can read it.
const STRUCTS: &[&Struct] = &[
    &boot::Extent::DESCRIPTION,
    &boot::BootCpu::DESCRIPTION,
    &boot::TableSizes::DESCRIPTION,
    &boot::Resource::DESCRIPTION,
    &boot::BootDevice::DESCRIPTION,
    &boot::BootBlock::DESCRIPTION,
    &store::AddressStore::DESCRIPTION,
    &cpu_block::CpuControl::DESCRIPTION,
    &lca::Arg::DESCRIPTION,
    &lca::Relocation::DESCRIPTION,
    &lca::Stamp::DESCRIPTION,
    &lca::Lca::DESCRIPTION,
    &device::ModuleInfo::DESCRIPTION,
    &device::PartitionCreate::DESCRIPTION,
    &device::MemoryLoad::DESCRIPTION,
    &device::CpuStart::DESCRIPTION,
    &device::ChannelBind::DESCRIPTION,
    &device::CallGet::DESCRIPTION,
    &device::CallRet::DESCRIPTION,
    &device::LcaRelease::DESCRIPTION,
    &device::CpuKick::DESCRIPTION,
    &device::DeviceTake::DESCRIPTION,
];

fn main() {
    println!("/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */");
    println!("/* Generated from abi/ by `./ant gen`. Do not edit. */");
    println!("#ifndef ANT_ABI_H\n#define ANT_ABI_H\n");
    println!("#include <linux/build_bug.h>\n#include <linux/ioctl.h>\n#include <linux/types.h>\n");
    constants();
    STRUCTS.iter().copied().for_each(structure);
    ioctls();
    println!("#endif /* ANT_ABI_H */");
}

fn constants() {
    let own = [
        ("REVISION", u64::from(ant_abi::REVISION)),
        ("MAX_CPUS", ant_abi::MAX_CPUS as u64),
        ("REQUEST_STORE_OFFSET", core::mem::offset_of!(cpu_block::CpuBlock, request) as u64),
        ("RETURN_STORE_OFFSET", core::mem::offset_of!(cpu_block::CpuBlock, ret) as u64),
    ];
    own.iter().for_each(|&(name, value)| constant(&Constant { name, value }));
    let modules = [
        layout::CONSTANTS,
        boot::CONSTANTS,
        store::CONSTANTS,
        cpu_block::CONSTANTS,
        lca::CONSTANTS,
        device::CONSTANTS,
    ];
    modules.iter().copied().flatten().for_each(constant);
    println!();
}

fn constant(constant: &Constant) {
    let Constant { name, value } = constant;
    match value {
        0..=0xffff => println!("#define ANT_{name} {value}"),
        0x1_0000..=0xffff_ffff => println!("#define ANT_{name} {value:#x}U"),
        _ => println!("#define ANT_{name} {value:#x}ULL"),
    }
}

fn structure(description: &Struct) {
    let name = c_name(description.name);
    println!("/*");
    description.docs.iter().for_each(|line| println!(" *{}", line.trim_end()));
    println!(" */\nstruct {name} {{");
    let mut end = 0;
    for field in description.fields {
        assert_eq!(field.offset, end, "{}.{}: implicit padding", description.name, field.name);
        end += field.size;
        match field.docs {
            [line] => println!("\t/*{} */", line.trim_end()),
            lines => println!("\t/*\n\t *{}\n\t */", lines.join("\n\t *").trim_end()),
        }
        println!("\t{};", declaration(field.name, field.ty, field.size));
    }
    assert_eq!(end, description.size, "{}: implicit padding at the end", description.name);
    println!("}};\n\nstatic_assert(sizeof(struct {name}) == {});\n", description.size);
}

/// `name`, or `name[n]` for an array type, after its C type.
fn declaration(name: &str, ty: &str, size: usize) -> String {
    match ty.strip_prefix('[') {
        None => format!("{} {name}", c_type(ty).0),
        Some(array) => {
            let element = array.split(';').next().expect("array type").trim();
            let (c, element_size) = c_type(element);
            format!("{c} {name}[{}]", size / element_size)
        }
    }
}

/// C's name and size of a Rust type.
fn c_type(ty: &str) -> (String, usize) {
    match ty {
        "u8" => ("__u8".into(), 1),
        "u16" => ("__u16".into(), 2),
        "u32" => ("__u32".into(), 4),
        "u64" | "PhysAddr" => ("__u64".into(), 8),
        "i64" => ("__s64".into(), 8),
        other => {
            let known = STRUCTS.iter().find(|s| s.name == other);
            let known = known.unwrap_or_else(|| panic!("{other}: not in STRUCTS"));
            (format!("struct {}", c_name(other)), known.size)
        }
    }
}

/// `CpuControl` → `ant_cpu_control`.
fn c_name(name: &str) -> String {
    let mut out = String::from("ant");
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn ioctls() {
    for ioctl in device::IOCTLS {
        let (name, number) = (ioctl.name, ioctl.number);
        let ty = device::IOCTL_TYPE as char;
        let argument = c_name(ioctl.argument);
        let (letters, argument) = match ioctl.direction {
            device::Direction::None => ("", String::new()),
            device::Direction::Write => ("W", format!(", struct {argument}")),
            device::Direction::Read => ("R", format!(", struct {argument}")),
            device::Direction::ReadWrite => ("WR", format!(", struct {argument}")),
        };
        println!("#define ANT_{name} _IO{letters}('{ty}', {number:#04x}{argument})");
    }
    println!();
}
