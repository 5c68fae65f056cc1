//! Calls that a proxy refuses.
//!
//! A process fills its own LCA, so it can ask for any number with any arguments; the table of
//! what AnT encodes does not bind it. This list keeps a proxy able to serve. It is not a sandbox: a
//! program can do with its proxy whatever its user can do to a process of theirs (kill it, stop it,
//! write to `/proc/self/mem`). What holds is that the proxy has the user's rights and no more, and
//! that only the program depends on it.
//!
//! Not here, because the number does not tell: descriptors that the proxy needs (`closes` names the
//! one that goes; keep them out of a program's way), and `fcntl` commands that ask for signals.

/// Numbers from here on are refused: the table of Linux ends below, and it gives some of those
/// beyond another meaning (the x32 interface; it looks at the lower half of the register only).
const END: usize = 512;

/// Calls that would change the proxy itself, by group.
pub const NOT_DELEGATED: &[(u64, &str)] = &[
    // Memory. The proxy's mappings are its code, its stack and the LCA; a program's memory is AnT's
    // to serve. `io_*` and `vmsplice` make Linux use the proxy's memory after they have returned.
    (9, "mmap"),
    (10, "mprotect"),
    (11, "munmap"),
    (12, "brk"),
    (25, "mremap"),
    (26, "msync"),
    (28, "madvise"),
    (30, "shmat"),
    (67, "shmdt"),
    (134, "uselib"),
    (149, "mlock"),
    (150, "munlock"),
    (151, "mlockall"),
    (152, "munlockall"),
    (206, "io_setup"),
    (207, "io_destroy"),
    (208, "io_getevents"),
    (209, "io_submit"),
    (210, "io_cancel"),
    (216, "remap_file_pages"),
    (237, "mbind"),
    (238, "set_mempolicy"),
    (256, "migrate_pages"),
    (278, "vmsplice"),
    (279, "move_pages"),
    (323, "userfaultfd"),
    (325, "mlock2"),
    (329, "pkey_mprotect"),
    (330, "pkey_alloc"),
    (331, "pkey_free"),
    (333, "io_pgetevents"),
    (425, "io_uring_setup"),
    (426, "io_uring_enter"),
    (427, "io_uring_register"),
    (440, "process_madvise"),
    (450, "set_mempolicy_home_node"),
    (453, "map_shadow_stack"),
    (462, "mseal"),
    // Processes and threads, which are AnT's to serve. A copy of the proxy would hold the LCA's mapping
    // and be nobody's child to wait for; another program in its place would not answer.
    (56, "clone"),
    (57, "fork"),
    (58, "vfork"),
    (59, "execve"),
    (60, "exit"),
    (61, "wait4"),
    (231, "exit_group"),
    (247, "waitid"),
    (272, "unshare"),
    (308, "setns"),
    (322, "execveat"),
    (435, "clone3"),
    // What a thread has registered with Linux or waits for in its memory. The proxy's library has done
    // that already, and a wait for memory that no other process writes never ends.
    (202, "futex"),
    (205, "set_thread_area"),
    (211, "get_thread_area"),
    (218, "set_tid_address"),
    (219, "restart_syscall"),
    (273, "set_robust_list"),
    (274, "get_robust_list"),
    (324, "membarrier"),
    (334, "rseq"),
    (449, "futex_waitv"),
    (454, "futex_wake"),
    (455, "futex_wait"),
    (456, "futex_requeue"),
    // Signals. They would arrive in the proxy, and the parent uses them to wake and to end it. `kill` is
    // allowed: a process that a user may signal, they may signal from AnT, even their own proxy.
    (13, "rt_sigaction"),
    (14, "rt_sigprocmask"),
    (15, "rt_sigreturn"),
    (34, "pause"),
    (37, "alarm"),
    (38, "setitimer"),
    (127, "rt_sigpending"),
    (128, "rt_sigtimedwait"),
    (129, "rt_sigqueueinfo"),
    (130, "rt_sigsuspend"),
    (131, "sigaltstack"),
    (222, "timer_create"),
    (223, "timer_settime"),
    (224, "timer_gettime"),
    (225, "timer_getoverrun"),
    (226, "timer_delete"),
    (244, "mq_notify"),
    (282, "signalfd"),
    (289, "signalfd4"),
    (297, "rt_tgsigqueueinfo"),
    // The proxy's identity. It runs as the user who started the program; `setsid`, `setpgid` and `keyctl`
    // would take it out of its parent's hands, or reach into the parent.
    (105, "setuid"),
    (106, "setgid"),
    (109, "setpgid"),
    (112, "setsid"),
    (113, "setreuid"),
    (114, "setregid"),
    (116, "setgroups"),
    (117, "setresuid"),
    (119, "setresgid"),
    (122, "setfsuid"),
    (123, "setfsgid"),
    (126, "capset"),
    (250, "keyctl"),
    // How the processor and the system treat the proxy: limits, modes, filters (which could refuse the
    // proxy's own calls), scheduling (a program's is AnT's).
    (135, "personality"),
    (141, "setpriority"),
    (142, "sched_setparam"),
    (144, "sched_setscheduler"),
    (154, "modify_ldt"),
    (157, "prctl"),
    (158, "arch_prctl"),
    (160, "setrlimit"),
    (172, "iopl"),
    (173, "ioperm"),
    (203, "sched_setaffinity"),
    (251, "ioprio_set"),
    (302, "prlimit64"),
    (314, "sched_setattr"),
    (317, "seccomp"),
    (446, "landlock_restrict_self"),
    (460, "lsm_set_self_attr"),
    // Hands on the inside of a process, of which the proxy is the nearest; programs for the kernel.
    (101, "ptrace"),
    (298, "perf_event_open"),
    (310, "process_vm_readv"),
    (311, "process_vm_writev"),
    (312, "kcmp"),
    (321, "bpf"),
    (424, "pidfd_send_signal"),
    (434, "pidfd_open"),
    (438, "pidfd_getfd"),
    // All descriptors at once, the proxy's own among them. For `close`, `dup2` and `dup3` of those see
    // `closes`.
    (436, "close_range"),
];

/// Whether each number is refused.
static REFUSED: [bool; END] = {
    let mut refused = [false; END];
    let mut n = 0;
    while n < NOT_DELEGATED.len() {
        let nr = NOT_DELEGATED[n].0 as usize;
        assert!(!refused[nr], "a system call is local twice");
        refused[nr] = true;
        n += 1;
    }
    refused
};

/// Whether a proxy must refuse this number, with `-ENOSYS`: the call would change the proxy itself
/// rather than do something for the program, or Linux would take the number for another.
#[must_use]
pub fn must_not_delegate(nr: u64) -> bool {
    usize::try_from(nr).ok().and_then(|nr| REFUSED.get(nr)).is_none_or(|&refused| refused)
}

/// The descriptor that this call closes or replaces, if it is such a call. A proxy must refuse it
/// (`-EBADF`) if the descriptor is one of its own.
#[must_use]
pub fn closes(nr: u64, args: &[u64; 6]) -> Option<u32> {
    // Linux looks at the lower half only.
    match nr {
        super::nr::CLOSE => Some(args[0] as u32),
        super::nr::DUP2 | super::nr::DUP3 => Some(args[1] as u32),
        _ => None,
    }
}
