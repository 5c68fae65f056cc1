//! `crash [HOW]`: fails, to show that a failing program takes nothing else with it.
#![no_std]
#![no_main]

use ant_rt::{Args, device, eprintln};
use ant_user_tests::fail;

ant_rt::program!(main);

/// Device memory that every PC has and that no process is granted.
const HPET: u64 = 0xfed0_0000;

fn main(args: Args) -> i32 {
    match args.text(1).unwrap_or("read") {
        "read" => fail::read_nothing(),
        "write" => fail::write_text(),
        "execute" => fail::execute_data(),
        "kernel" => fail::read_kernel(),
        "divide" => fail::divide_by_zero(),
        "opcode" => fail::invalid_opcode(),
        "privileged" => fail::halt(),
        "port-read" => fail::read_port(),
        "port-write" => fail::write_port(),
        "device" => drop(device::memory_read(HPET)),
        "sysenter" => fail::sysenter(),
        "float" => fail::float(),
        "stack" => drop(core::hint::black_box(fail::overflow_stack(0))),
        "panic" => panic!("asked for"),
        _ => {
            eprintln!(
                "usage: crash [read|write|execute|kernel|divide|opcode|privileged|port-read|port-write|\
                 device|sysenter|float|stack|panic]"
            );
            return 2;
        }
    }
    eprintln!("crash: still alive");
    1
}
