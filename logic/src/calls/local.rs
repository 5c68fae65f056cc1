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

use linux_raw_sys::general;

use super::{END, name_of};

macro_rules! not_delegated {
    ($( $nr:ident, )*) => {
        /// Calls that would change the proxy itself, by group: number and name.
        pub const NOT_DELEGATED: &[(u64, &str)] =
            &[$( (general::$nr as u64, name_of(stringify!($nr))) ),*];
    };
}

not_delegated! {
    // Memory. The proxy's mappings are its code, its stack and the LCA; a program's memory is AnT's
    // to serve. `io_*` and `vmsplice` make Linux use the proxy's memory after they have returned.
    __NR_mmap,
    __NR_mprotect,
    __NR_munmap,
    __NR_brk,
    __NR_mremap,
    __NR_msync,
    __NR_madvise,
    __NR_shmat,
    __NR_shmdt,
    __NR_uselib,
    __NR_mlock,
    __NR_munlock,
    __NR_mlockall,
    __NR_munlockall,
    __NR_io_setup,
    __NR_io_destroy,
    __NR_io_getevents,
    __NR_io_submit,
    __NR_io_cancel,
    __NR_remap_file_pages,
    __NR_mbind,
    __NR_set_mempolicy,
    __NR_migrate_pages,
    __NR_vmsplice,
    __NR_move_pages,
    __NR_userfaultfd,
    __NR_mlock2,
    __NR_pkey_mprotect,
    __NR_pkey_alloc,
    __NR_pkey_free,
    __NR_io_pgetevents,
    __NR_io_uring_setup,
    __NR_io_uring_enter,
    __NR_io_uring_register,
    __NR_process_madvise,
    __NR_set_mempolicy_home_node,
    __NR_map_shadow_stack,
    __NR_mseal,
    // Processes and threads, which are AnT's to serve. A copy of the proxy would hold the LCA's mapping
    // and have no parent that waits for it; another program in its place would not answer.
    __NR_clone,
    __NR_fork,
    __NR_vfork,
    __NR_execve,
    __NR_exit,
    __NR_wait4,
    __NR_exit_group,
    __NR_waitid,
    __NR_unshare,
    __NR_setns,
    __NR_execveat,
    __NR_clone3,
    // What a thread has registered with Linux or waits for in its memory. The proxy's library has done
    // that already, and a wait for memory that no other process writes never ends.
    __NR_futex,
    __NR_set_thread_area,
    __NR_get_thread_area,
    __NR_set_tid_address,
    __NR_restart_syscall,
    __NR_set_robust_list,
    __NR_get_robust_list,
    __NR_membarrier,
    __NR_rseq,
    __NR_futex_waitv,
    __NR_futex_wake,
    __NR_futex_wait,
    __NR_futex_requeue,
    // Signals. They would arrive in the proxy, and the parent uses them to wake and to end it. `kill` is
    // allowed: a user may signal from AnT what that user may signal on Linux, even the own proxy.
    __NR_rt_sigaction,
    __NR_rt_sigprocmask,
    __NR_rt_sigreturn,
    __NR_pause,
    __NR_alarm,
    __NR_setitimer,
    __NR_rt_sigpending,
    __NR_rt_sigtimedwait,
    __NR_rt_sigqueueinfo,
    __NR_rt_sigsuspend,
    __NR_sigaltstack,
    __NR_timer_create,
    __NR_timer_settime,
    __NR_timer_gettime,
    __NR_timer_getoverrun,
    __NR_timer_delete,
    __NR_mq_notify,
    __NR_signalfd,
    __NR_signalfd4,
    __NR_rt_tgsigqueueinfo,
    // Credentials of the proxy. It runs as the user that started the program; `setsid`, `setpgid` and `keyctl`
    // would take it out of its parent's hands, or reach into the parent.
    __NR_setuid,
    __NR_setgid,
    __NR_setpgid,
    __NR_setsid,
    __NR_setreuid,
    __NR_setregid,
    __NR_setgroups,
    __NR_setresuid,
    __NR_setresgid,
    __NR_setfsuid,
    __NR_setfsgid,
    __NR_capset,
    __NR_keyctl,
    // How the processor and the system treat the proxy: limits, modes, filters (which could refuse the
    // proxy's own calls), scheduling (a program's is AnT's).
    __NR_personality,
    __NR_setpriority,
    __NR_sched_setparam,
    __NR_sched_setscheduler,
    __NR_modify_ldt,
    __NR_prctl,
    __NR_arch_prctl,
    __NR_setrlimit,
    __NR_iopl,
    __NR_ioperm,
    __NR_sched_setaffinity,
    __NR_ioprio_set,
    __NR_prlimit64,
    __NR_sched_setattr,
    __NR_seccomp,
    __NR_landlock_restrict_self,
    __NR_lsm_set_self_attr,
    // Hands on the inside of a process, of which the proxy is the nearest; programs for the kernel.
    __NR_ptrace,
    __NR_perf_event_open,
    __NR_process_vm_readv,
    __NR_process_vm_writev,
    __NR_kcmp,
    __NR_bpf,
    __NR_pidfd_send_signal,
    __NR_pidfd_open,
    __NR_pidfd_getfd,
    // All descriptors at once, the proxy's own among them. For `close`, `dup2` and `dup3` of those see
    // `closes`.
    __NR_close_range,
}

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
