//! The first instructions on a CPU: a stack, then Rust.

use core::arch::naked_asm;

use ant_abi::boot::{IMAGE_MAGIC, ImageHeader};

use super::percpu::{AREA_ENDS, AREA_SIZE, FIRST_AREA};

/// First bytes of the image: what `antd` checks before it loads it.
#[used]
#[unsafe(link_section = ".ant.header")]
static HEADER: ImageHeader = ImageHeader {
    magic: IMAGE_MAGIC,
    revision: ant_abi::REVISION,
    size: size_of::<ImageHeader>() as u32,
};

/// Entered from the module's trampoline in 64-bit mode, interrupts off, `rsi` = index of the CPU.
/// Runs on the module's page tables, which map the image and nothing else of AnT's; so a p-kernel
/// first changes to the m-kernel's, where its stack is mapped.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn ant_start() -> ! {
    naked_asm!(
        "cld",
        "test rsi, rsi",
        "jnz 2f",
        "lea rsp, [rip + {first_area} + {area_size}]",
        "jmp 3f",
        "2:",
        "mov rax, [rip + {root}]",
        "mov cr3, rax",
        "lea rax, [rip + {area_ends}]",
        "mov rsp, [rax + rsi * 8]",
        "3:",
        "xor ebp, ebp",
        "mov rdi, rsi",
        "call {start}",
        "ud2",
        first_area = sym FIRST_AREA,
        area_size = const AREA_SIZE,
        area_ends = sym AREA_ENDS,
        root = sym super::paging::KERNEL_ROOT,
        start = sym start,
    )
}

unsafe extern "Rust" {
    /// The kernel's, which knows both roles.
    safe fn ant_kernel_start(cpu: usize) -> !;
}

extern "C" fn start(cpu: usize) -> ! {
    super::percpu::init(cpu);
    super::cpu::init();
    ant_kernel_start(cpu)
}
