//! The table against itself and against other sources.

use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;

#[test]
fn constants_are_called_as_their_calls() {
    for (constant, name) in table::CONSTANTS {
        assert_eq!(constant.to_lowercase(), *name);
    }
    assert_eq!((nr::READ, nr::OPENAT), (0, 257));
}

#[test]
fn structures_have_linuxs_sizes() {
    use linux_raw_sys::general::*;
    let fixed = |name: &str, arg: usize| {
        let call = CALLS.iter().find(|call| call.name == name).unwrap();
        match call.args[arg] {
            ArgKind::Data(Data { size: Size::Fixed(size), .. }) => size,
            ArgKind::Data(Data { size: Size::Counted { unit, .. }, .. }) => unit,
            other => panic!("{name}: {other:?}"),
        }
    };
    let case = |name: &str, command: u32| {
        let call = CALLS.iter().find(|call| call.name == name).unwrap();
        let ArgKind::Select { by: 1, cases } = call.args[2] else { panic!("{name}") };
        let case = cases.iter().find(|(value, _)| *value == u64::from(command));
        match case.unwrap_or_else(|| panic!("{name} {command}")).1 {
            ArgKind::Value => 0,
            ArgKind::Data(Data { size: Size::Fixed(size), .. }) => size,
            other => panic!("{name}: {other:?}"),
        }
    };
    for name in ["stat", "fstat", "lstat"] {
        assert_eq!(fixed(name, 1), size_of::<stat>());
    }
    assert_eq!(fixed("newfstatat", 2), size_of::<stat>());
    assert_eq!(fixed("statx", 4), size_of::<statx>());
    assert_eq!(fixed("statfs", 1), size_of::<statfs>());
    assert_eq!(fixed("fstatfs", 1), size_of::<statfs>());
    assert_eq!(fixed("nanosleep", 0), size_of::<__kernel_timespec>());
    assert_eq!(fixed("clock_nanosleep", 3), size_of::<__kernel_timespec>());
    assert_eq!(fixed("utimensat", 2), 2 * size_of::<__kernel_timespec>());
    assert_eq!(fixed("utimes", 1), 2 * size_of::<timeval>());
    assert_eq!(fixed("gettimeofday", 0), size_of::<timeval>());
    assert_eq!(fixed("gettimeofday", 1), size_of::<timezone>());
    assert_eq!(fixed("timerfd_settime", 3), size_of::<__kernel_itimerspec>());
    assert_eq!(fixed("getrlimit", 1), size_of::<rlimit>());
    assert_eq!(fixed("getrusage", 1), size_of::<rusage>());
    assert_eq!(fixed("poll", 0), size_of::<pollfd>());
    assert_eq!(fixed("epoll_wait", 1), size_of::<epoll_event>());
    assert_eq!(fixed("epoll_ctl", 3), size_of::<epoll_event>());
    // Checked against Linux's headers by hand.
    assert_eq!(fixed("uname", 0), 6 * 65);
    assert_eq!(fixed("sysinfo", 0), 112);
    assert_eq!(fixed("times", 0), 4 * 8);
    assert_eq!(fixed("utime", 1), 2 * 8);

    for command in [F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW] {
        assert_eq!(case("fcntl", command), size_of::<flock>());
    }
    assert_eq!(case("fcntl", F_GETOWN_EX), size_of::<f_owner_ex>());
    for command in [
        F_DUPFD,
        F_GETFD,
        F_SETFD,
        F_GETFL,
        F_SETFL,
        F_GETOWN,
        F_GETSIG,
        F_GETLEASE,
        F_DUPFD_CLOEXEC,
        F_SETPIPE_SZ,
        F_GETPIPE_SZ,
        F_ADD_SEALS,
        F_GET_SEALS,
    ] {
        assert_eq!(case("fcntl", command), 0);
    }
    use linux_raw_sys::ioctl;
    for request in [ioctl::TCGETS, ioctl::TCSETS, ioctl::TCSETSW, ioctl::TCSETSF] {
        assert_eq!(case("ioctl", request), size_of::<termios>());
    }
    for request in [ioctl::TIOCGWINSZ, ioctl::TIOCSWINSZ] {
        assert_eq!(case("ioctl", request), size_of::<winsize>());
    }
    for request in [ioctl::FIONREAD, ioctl::FIONBIO, ioctl::TIOCGPGRP] {
        assert_eq!(case("ioctl", request), 4);
    }
    for request in [ioctl::FIOCLEX, ioctl::FIONCLEX, ioctl::TCSBRK, ioctl::TCXONC, ioctl::TCFLSH] {
        assert_eq!(case("ioctl", request), 0);
    }
}

#[test]
fn finds_every_call_and_no_other() {
    for call in CALLS {
        assert_eq!(find(call.nr).unwrap().name, call.name);
        assert_eq!(name(call.nr), Some(call.name));
    }
    let known: BTreeSet<u64> = CALLS.iter().map(|call| call.nr).collect();
    for nr in (0..1024).chain([u64::MAX, 1 << 32, 0x4000_0000]) {
        assert_eq!(find(nr).is_some(), known.contains(&nr), "{nr}");
    }
    assert_eq!(find(nr::OPENAT).unwrap().name, "openat");
}

#[test]
fn refuses_local_calls_and_aliases() {
    for &(nr, name) in NOT_DELEGATED {
        assert!(must_not_delegate(nr), "{name}");
        assert!(find(nr).is_none(), "{name} is in the table");
        assert_eq!(super::name(nr), Some(name));
    }
    for call in CALLS {
        assert!(!must_not_delegate(call.nr), "{}", call.name);
        // The x32 call, and the same in the lower half of the register.
        assert!(must_not_delegate(call.nr | 0x4000_0000));
        assert!(must_not_delegate(call.nr | 1 << 32));
    }
    // x32's execve.
    assert!(must_not_delegate(520));
    assert!(must_not_delegate(u64::MAX));
    assert!(!must_not_delegate(511), "a call that Linux may get one day");
}

#[test]
fn names_the_descriptor_that_goes() {
    assert_eq!(closes(nr::CLOSE, &[7, 0, 0, 0, 0, 0]), Some(7));
    assert_eq!(closes(nr::CLOSE, &[1 << 32 | 7, 0, 0, 0, 0, 0]), Some(7));
    assert_eq!(closes(nr::DUP2, &[1, 9, 0, 0, 0, 0]), Some(9));
    assert_eq!(closes(nr::DUP3, &[1, 9, 0, 0, 0, 0]), Some(9));
    assert_eq!(closes(nr::DUP, &[1, 9, 0, 0, 0, 0]), None);
    assert_eq!(closes(nr::READ, &[1, 9, 0, 0, 0, 0]), None);
}

/// Every place of a call, those that are selected included.
fn places(call: &Call) -> Vec<ArgKind> {
    let selected = call.args.iter().flat_map(|place| match place {
        ArgKind::Select { cases, .. } => cases.iter().map(|case| case.1).collect(),
        _ => Vec::new(),
    });
    call.args.iter().copied().chain(selected).collect()
}

#[test]
fn the_table_makes_sense() {
    for call in CALLS {
        assert!(call.args.len() <= 6, "{}", call.name);
        let is_value =
            |arg: usize| assert_eq!(call.args.get(arg), Some(&ArgKind::Value), "{}", call.name);
        let mut can_be_shortened = 0;
        for place in places(call) {
            match place {
                ArgKind::Value | ArgKind::Text => {}
                ArgKind::Select { by, cases } => {
                    is_value(by);
                    let values: BTreeSet<u64> = cases.iter().map(|case| case.0).collect();
                    assert_eq!(values.len(), cases.len(), "{}", call.name);
                    let nested =
                        |place| matches!(place, ArgKind::Select { .. } | ArgKind::Vector { .. });
                    assert!(!cases.iter().any(|case| nested(case.1)), "{}", call.name);
                }
                ArgKind::Vector { direction, count } => {
                    is_value(count);
                    assert_ne!(direction, Direction::InOut, "{}", call.name);
                    can_be_shortened += 1;
                }
                ArgKind::Data(data) => {
                    check_data(call, data);
                    can_be_shortened += usize::from(data.excess != Overflow::Refuse);
                }
            }
        }
        assert!(can_be_shortened <= 1, "{}", call.name);
    }
}

fn check_data(call: &Call, data: Data) {
    let name = call.name;
    match data.size {
        Size::Fixed(len) => assert!(len > 0, "{name}"),
        Size::Counted { arg, unit } => {
            assert_eq!(call.args.get(arg), Some(&ArgKind::Value), "{name}");
            assert!(unit > 0, "{name}");
        }
        Size::Bits { arg } => assert_eq!(call.args.get(arg), Some(&ArgKind::Value), "{name}"),
        Size::IndirectLen { arg } => {
            let Some(ArgKind::Data(length)) = call.args.get(arg) else { panic!("{name}") };
            assert_eq!(length.size, Size::Fixed(4), "{name}");
            assert_eq!(length.direction, Direction::InOut, "{name}");
        }
    }
    match data.filled {
        OutExtent::OnSuccess => {}
        OutExtent::Returned => {
            assert_eq!(data.direction, Direction::Out, "{name}");
            assert!(matches!(data.size, Size::Counted { .. }), "{name}");
        }
        // Otherwise a failed call would give the caller what was in the buffer before.
        OutExtent::Always => assert_eq!(data.direction, Direction::InOut, "{name}"),
    }
    if data.excess != Overflow::Refuse {
        assert!(matches!(data.size, Size::Counted { .. }), "{name}");
    }
}
