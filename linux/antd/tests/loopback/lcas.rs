//! What a proxy makes of an LCA: pointers, stamps, and what it refuses.

use std::io::pipe;
use std::os::fd::{AsFd, OwnedFd};

use ant_abi::Error;
use ant_abi::lca::{
    CFLAG_CONTINUE, CFLAG_TRACE, STEP_PROXY_DONE, STEP_PROXY_EXECUTES, STEP_PROXY_WAKES,
};
use ant_logic::calls::nr;

use crate::calls::{BADF, no_arguments, odd_argument};
use crate::player::World;

scenarios!(
    pointers_in_the_buffer,
    a_traced_call_is_stamped,
    a_malformed_lca_is_refused_and_the_proxy_lives,
    what_would_change_the_proxy_is_refused,
);

fn pointers_in_the_buffer() {
    let (mut world, _client, process, _) = World::running("iovec");
    let (reader, writer) = pipe().unwrap();
    let other = world.run_request(OwnedFd::from(writer).as_fd());
    let (other_process, _) = world.init_spawns(1);
    // An iovec of two segments, by hand: 16 bytes each, then the data.
    let mut page = other_process.page(nr::WRITEV);
    page.args[0] = odd_argument(0, 0, 0);
    page.args[1] = odd_argument(1, 0, 32);
    page.args[2] = odd_argument(0, 2, 0);
    page.buffer[8] = 3;
    page.buffer[24] = 4;
    page.buffer[32..35].copy_from_slice(b"one");
    page.buffer[40..44].copy_from_slice(b" two");
    page.relocation_count = 2;
    page.relocations[0] = ant_abi::lca::Relocation { at: 0, target: 32, len: 3 };
    page.relocations[1] = ant_abi::lca::Relocation { at: 16, target: 40, len: 4 };
    world.send(other_process, &page);
    let result = world.result(other_process);
    assert_eq!(result.retval, 7);
    assert_eq!(result.buffer, page.buffer, "no address of the proxy is left");
    let mut text = [0; 7];
    std::io::Read::read_exact(&mut { reader }, &mut text).unwrap();
    assert_eq!(&text, b"one two");
    drop(other);
    let _ = world.proxy_of(process);
}

fn a_traced_call_is_stamped() {
    let (mut world, _client, process, proxy) = World::running("trace");
    let page = world.call(process, nr::GETPPID, CFLAG_CONTINUE | CFLAG_TRACE, no_arguments);
    assert_eq!(page.retval, i64::from(world.daemon.as_raw_pid()));
    let steps = [STEP_PROXY_WAKES, STEP_PROXY_EXECUTES, STEP_PROXY_DONE];
    let stamps = steps.map(|step| page.stamps[step]);
    assert!(stamps.iter().all(|stamp| stamp.pid == proxy.as_raw_pid() as u32), "{stamps:?}");
    assert!(stamps[0].tsc > 0 && stamps.is_sorted_by_key(|stamp| stamp.tsc), "{stamps:?}");
}

fn a_malformed_lca_is_refused_and_the_proxy_lives() {
    let (mut world, _client, process, proxy) = World::running("malformed");
    let wrong = [
        odd_argument(1, 4000, 8),
        odd_argument(1, u64::MAX, 1),
        odd_argument(9, 0, 0),
        odd_argument(2, 0, 4096),
    ];
    for argument in wrong {
        let mut page = process.page(nr::WRITE);
        page.args[1] = argument;
        world.send(process, &page);
        let retval = world.result(process).retval;
        let expected = if argument.kind == 2 { Error::NoSystemCall } else { Error::Invalid };
        assert_eq!(retval, expected.to_return(), "{argument:?}");
    }
    let mut page = process.page(nr::READ);
    page.relocation_count = 17;
    world.send(process, &page);
    assert_eq!(world.result(process).retval, Error::Invalid.to_return());
    assert_eq!(world.proxy_of(process), proxy);
}

fn what_would_change_the_proxy_is_refused() {
    let (mut world, _client, process, proxy) = World::running("local");
    let nosys = Error::NoSystemCall.to_return();
    // mmap, clone, execve, exit_group, prctl, close_range, and numbers that do not exist.
    for number in [9, 56, 59, 231, 157, 436, 511, 512, 0x4000_0000, u64::MAX - 1] {
        assert_eq!(world.simple(process, number, &[0; 6]), nosys, "{number}");
    }
    for descriptor in 3..1100 {
        let result = world.simple(process, nr::CLOSE, &[descriptor]);
        // The loopback keeps one open, which the device does not.
        let expected = result == BADF || result == 0 && descriptor == 3;
        assert!(expected, "{descriptor}: {result}");
    }
    assert_eq!(world.simple(process, nr::DUP2, &[0, 1000]), BADF);
    assert_eq!(world.proxy_of(process), proxy);
}
