//! `misuse HOW`: does what a program must not, and says what AnT and Linux answer. For tests: the
//! answer must be an error, and nothing else may happen.
#![no_std]
#![no_main]

use ant_abi::device::{BIND, CallRet, ChannelBind, Ioctl, RET};
use ant_abi::ipc::ica_quota_program;
use ant_abi::lca::{ARG_BUFFER, ARG_LOAN, CFLAG_CONTINUE, LCA_BUFFER, Relocation};
use ant_abi::store::StoreEntry;
use ant_abi::syscall::{Injection, ProcessCreate};
use ant_abi::{Error, PhysAddr};
use ant_logic::calls::nr;
use ant_rt::ica::Pages;
use ant_rt::{Args, ant, eprintln, init_calls, linux, println};
use ant_user_tests::unchecked;
use linux_raw_sys::general::{__NR_execve, __NR_exit_group, __NR_munmap, __NR_prctl};
use zerocopy::{FromZeros, Immutable, IntoBytes};

ant_rt::program!(main);

/// Calls that would change the proxy.
const LOCAL: [u32; 4] = [__NR_munmap, __NR_exit_group, __NR_execve, __NR_prctl];
/// No call of Linux.
const NO_SUCH_CALL: u64 = 999;

fn main(args: Args) -> i32 {
    let done = match args.text(1).unwrap_or("") {
        "raddr" => raddr(),
        "offset" => answer("offset", |lca| lca.args[1].value = LCA_BUFFER as u64),
        "length" => answer("length", |lca| lca.args[1].len = u32::MAX),
        "kind" => answer("kind", |lca| lca.args[1].kind = 77),
        "loan" => answer("loan", |lca| lca.args[1].kind = ARG_LOAN),
        "relocation" => answer("relocation", |lca| {
            lca.relocation_count = 1;
            lca.relocations[0] = Relocation { at: u16::MAX, target: 0, len: 8 };
        }),
        "relocations" => answer("relocations", |lca| lca.relocation_count = u32::MAX),
        "local" => local(),
        "unknown" => unknown(),
        "privileged" => privileged(),
        "close" => close_everything(),
        "flag" => flag(),
        "pages" => flood_with_pages(),
        "return" => forged_return(args.text(2).and_then(|text| text.parse().ok()).unwrap_or(0)),
        _ => {
            eprintln!(
                "usage: misuse raddr|offset|length|kind|loan|relocation|relocations|local|\
                 unknown|privileged|close|flag|pages\n       misuse return PARTITION"
            );
            return 2;
        }
    };
    i32::from(!done)
}

/// Sends addresses that are not the caller's LCA.
fn raddr() -> bool {
    [0, 0x1000, 1, u64::MAX, ant::lca_get(0).map_or(0, |grant| grant.raddr + 1)]
        .iter()
        .all(|&raddr| println!("raddr: {:?}", ant::linux_call(raddr)))
}

/// Sends a `write` to standard output that is wrong in one way.
fn answer(how: &str, spoil: impl FnOnce(&mut ant_abi::lca::Lca)) -> bool {
    let result = unchecked::linux_call(|lca| {
        lca.syscallno = nr::WRITE;
        lca.args[0].value = 1;
        lca.args[1].kind = ARG_BUFFER;
        lca.args[1].len = 8;
        lca.args[2].value = 8;
        spoil(lca);
    });
    println!("{how}: {result:?}")
}

fn local() -> bool {
    LOCAL.iter().all(|&number| {
        let result = unchecked::linux_call(|lca| lca.syscallno = number.into());
        println!("call {number}: {result:?}")
    })
}

fn unknown() -> bool {
    let result = linux::call_of_values(NO_SUCH_CALL, [0; 6]);
    println!("unknown: {result:?}")
}

/// What only `init` may do.
fn privileged() -> bool {
    let mut request = ProcessCreate { path_len: 2, ..FromZeros::new_zeroed() };
    let results: [Result<(), Error>; 4] = [
        init_calls::process_create(&mut request, b"x\0x\0"),
        init_calls::process_start(1),
        init_calls::process_kill(1, 9),
        init_calls::fault_inject(Injection::Panic, 0, 0),
    ];
    results.iter().all(|result| println!("privileged: {result:?}"))
}

/// Closes every descriptor that the proxy may have, its own from 1000 on included: what it needs must
/// be out of reach.
fn close_everything() -> bool {
    for fd in 3..1100 {
        let _ = linux::close(fd);
    }
    println!("close: still {:?}", linux::getpid().is_ok())
}

/// Tells AnT that its proxy need not stay, and the proxy that it shall; then makes no call any more.
fn flag() -> bool {
    let called = unchecked::linux_call_and_change(
        |lca| {
            lca.syscallno = nr::GETPID;
            lca.cflag = 0;
        },
        |lca| lca.cflag = CFLAG_CONTINUE,
    );
    while called.is_ok() {
        core::hint::spin_loop();
    }
    false
}

/// Keeps the memory manager busy.
fn flood_with_pages() -> bool {
    let Ok(info) = ant::system_info() else { return false };
    let quota = ica_quota_program(info.ica_pages);
    while Pages::alloc(quota).is_ok() {}
    println!("pages: no more")
}

/// Gets a proxy's file of the device for its own LCA, and returns its call, which is under way, to
/// other CPUs than its own. Root only: others do not get such a file.
fn forged_return(partition: u32) -> bool {
    let (Ok(grant), Ok(info)) = (ant::lca_get(0), ant::system_info()) else { return false };
    let lca = StoreEntry::call(PhysAddr::new(grant.raddr), info.pid as u16).0;
    let Ok(fd) = linux::open(c"/dev/ant", linux::O_RDWR, 0) else {
        return println!("return: no device");
    };
    let bound = ioctl(fd, &BIND, &ChannelBind { partition, reserved: 0, lca });
    let others = (0..info.cpus + 1).filter(|&cpu| cpu != info.cpu);
    { others }.all(|cid| {
        let returned = ioctl(fd, &RET, &CallRet { lca, cid, reserved: 0 });
        println!("return: {bound:?}, {returned:?}")
    })
}

fn ioctl(fd: i32, ioctl: &Ioctl, argument: &(impl IntoBytes + Immutable)) -> Result<i64, Error> {
    let bytes = argument.as_bytes();
    unchecked::linux_call(|lca| {
        lca.syscallno = nr::IOCTL;
        lca.args[0].value = fd as u64;
        lca.args[1].value = u64::from(ioctl.request());
        lca.args[2].kind = ARG_BUFFER;
        lca.args[2].len = bytes.len() as u32;
        lca.buffer[..bytes.len()].copy_from_slice(bytes);
    })
}
