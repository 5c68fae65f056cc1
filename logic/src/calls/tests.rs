//! The table against itself and against other sources.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use super::*;

/// Numbers by name from the bindings of another project, which takes them from Linux's headers.
macro_rules! reference {
    ($($name:ident)*) => {
        BTreeMap::from([$(
            (stringify!($name).strip_prefix("__NR_").unwrap(), u64::from(linux_raw_sys::general::$name))
        ),*])
    };
}

fn reference() -> BTreeMap<&'static str, u64> {
    reference! {
        __NR_accept __NR_accept4 __NR_access __NR_alarm __NR_arch_prctl __NR_bind __NR_bpf
        __NR_brk __NR_capset __NR_chdir __NR_chmod __NR_chown __NR_chroot __NR_clock_getres
        __NR_clock_gettime __NR_clock_nanosleep __NR_clone __NR_clone3 __NR_close
        __NR_close_range __NR_connect __NR_copy_file_range __NR_creat __NR_dup __NR_dup2
        __NR_dup3 __NR_epoll_create1 __NR_epoll_ctl __NR_epoll_wait __NR_eventfd2 __NR_execve
        __NR_execveat __NR_exit __NR_exit_group __NR_faccessat __NR_faccessat2 __NR_fadvise64
        __NR_fallocate __NR_fchdir __NR_fchmod __NR_fchmodat __NR_fchmodat2 __NR_fchown
        __NR_fchownat __NR_fcntl __NR_fdatasync __NR_fgetxattr __NR_flistxattr __NR_flock
        __NR_fork __NR_fremovexattr __NR_fsetxattr __NR_fstat __NR_fstatfs __NR_fsync
        __NR_ftruncate __NR_futex __NR_futex_requeue __NR_futex_wait __NR_futex_waitv
        __NR_futex_wake __NR_futimesat __NR_get_robust_list __NR_get_thread_area __NR_getcwd
        __NR_getdents64 __NR_getegid __NR_geteuid __NR_getgid __NR_getgroups __NR_getpeername
        __NR_getpgid __NR_getpgrp __NR_getpid __NR_getppid __NR_getpriority __NR_getrandom
        __NR_getresgid __NR_getresuid __NR_getrlimit __NR_getrusage __NR_getsid __NR_getsockname
        __NR_getsockopt __NR_gettid __NR_gettimeofday __NR_getuid __NR_getxattr
        __NR_inotify_add_watch __NR_inotify_init1 __NR_inotify_rm_watch __NR_io_cancel
        __NR_io_destroy __NR_io_getevents __NR_io_pgetevents __NR_io_setup __NR_io_submit
        __NR_io_uring_enter __NR_io_uring_register __NR_io_uring_setup __NR_ioctl __NR_ioperm
        __NR_iopl __NR_ioprio_set __NR_kcmp __NR_keyctl __NR_kill __NR_landlock_restrict_self
        __NR_lchown __NR_lgetxattr __NR_link __NR_linkat __NR_listen __NR_listxattr
        __NR_llistxattr __NR_lremovexattr __NR_lseek __NR_lsetxattr __NR_lsm_set_self_attr
        __NR_lstat __NR_madvise __NR_map_shadow_stack __NR_mbind __NR_membarrier
        __NR_memfd_create __NR_migrate_pages __NR_mkdir __NR_mkdirat __NR_mknod __NR_mknodat
        __NR_mlock __NR_mlock2 __NR_mlockall __NR_mmap __NR_modify_ldt __NR_move_pages
        __NR_mprotect __NR_mq_notify __NR_mremap __NR_mseal __NR_msync __NR_munlock
        __NR_munlockall __NR_munmap __NR_nanosleep __NR_newfstatat __NR_open __NR_openat
        __NR_openat2 __NR_pause __NR_perf_event_open __NR_personality __NR_pidfd_getfd
        __NR_pidfd_open __NR_pidfd_send_signal __NR_pipe __NR_pipe2 __NR_pkey_alloc
        __NR_pkey_free __NR_pkey_mprotect __NR_poll __NR_ppoll __NR_prctl __NR_pread64
        __NR_preadv __NR_preadv2 __NR_prlimit64 __NR_process_madvise __NR_process_vm_readv
        __NR_process_vm_writev __NR_ptrace __NR_pwrite64 __NR_pwritev __NR_pwritev2 __NR_read
        __NR_readahead __NR_readlink __NR_readlinkat __NR_readv __NR_recvfrom
        __NR_remap_file_pages __NR_removexattr __NR_rename __NR_renameat __NR_renameat2
        __NR_restart_syscall __NR_rmdir __NR_rseq __NR_rt_sigaction __NR_rt_sigpending
        __NR_rt_sigprocmask __NR_rt_sigqueueinfo __NR_rt_sigreturn __NR_rt_sigsuspend
        __NR_rt_sigtimedwait __NR_rt_tgsigqueueinfo __NR_sched_setaffinity __NR_sched_setattr
        __NR_sched_setparam __NR_sched_setscheduler __NR_seccomp __NR_select __NR_sendfile
        __NR_sendto __NR_set_mempolicy __NR_set_mempolicy_home_node __NR_set_robust_list
        __NR_set_thread_area __NR_set_tid_address __NR_setfsgid __NR_setfsuid __NR_setgid
        __NR_setgroups __NR_setitimer __NR_setns __NR_setpgid __NR_setpriority __NR_setregid
        __NR_setresgid __NR_setresuid __NR_setreuid __NR_setrlimit __NR_setsid __NR_setsockopt
        __NR_setuid __NR_setxattr __NR_shmat __NR_shmdt __NR_shutdown __NR_sigaltstack
        __NR_signalfd __NR_signalfd4 __NR_socket __NR_socketpair __NR_splice __NR_stat
        __NR_statfs __NR_statx __NR_symlink __NR_symlinkat __NR_sync __NR_sync_file_range
        __NR_syncfs __NR_sysinfo __NR_tee __NR_time __NR_timer_create __NR_timer_delete
        __NR_timer_getoverrun __NR_timer_gettime __NR_timer_settime __NR_timerfd_create
        __NR_timerfd_gettime __NR_timerfd_settime __NR_times __NR_truncate __NR_umask __NR_uname
        __NR_unlink __NR_unlinkat __NR_unshare __NR_uselib __NR_userfaultfd __NR_utime
        __NR_utimensat __NR_utimes __NR_vfork __NR_vmsplice __NR_wait4 __NR_waitid __NR_write
        __NR_writev
    }
}

#[test]
fn numbers_are_linuxs() {
    let reference = reference();
    let named = CALLS.iter().map(|call| (call.nr, call.name)).chain(NOT_DELEGATED.iter().copied());
    for (nr, name) in named {
        assert_eq!(reference.get(name), Some(&nr), "{name}");
    }
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
    // Not in those bindings; checked against Linux's headers by hand.
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
