//! The table itself: one line for each call. Numbers and sizes are those of Linux's headers for x86-64,
//! as `linux_raw_sys` has them.

use linux_raw_sys::{general, ioctl, system};

use super::{ArgKind, Call, Data, Direction, END, OutExtent, Overflow, Size, name_of};

use ArgKind::{Text, Value};

/// In the index: there is no such call.
const NONE: u8 = u8::MAX;

macro_rules! calls {
    ($( $constant:ident = $nr:ident: [$($place:expr),*]; )*) => {
        /// Every call that can be carried, in groups.
        pub const CALLS: &[Call] = &[
            $( Call {
                name: name_of(stringify!($nr)),
                nr: general::$nr as u64,
                args: &[$($place),*],
            } ),*
        ];

        /// Numbers of the calls that can be carried, by name.
        pub mod nr {
            use linux_raw_sys::general;

            $(
                #[doc = concat!("The number `", stringify!($nr), "`.")]
                pub const $constant: u64 = general::$nr as u64;
            )*
        }

        /// Each constant of [`nr`] and the name of its call.
        #[cfg(test)]
        pub(super) const CONSTANTS: &[(&str, &str)] =
            &[$( (stringify!($constant), name_of(stringify!($nr))) ),*];
    };
}

/// Position in [`CALLS`] of each number. A number that is there twice does not compile.
pub(super) static INDEX: [u8; END] = {
    assert!(CALLS.len() < NONE as usize);
    let mut index = [NONE; END];
    let mut n = 0;
    while n < CALLS.len() {
        let nr = CALLS[n].nr as usize;
        assert!(index[nr] == NONE, "a system call is in the table twice");
        index[nr] = n as u8;
        n += 1;
    }
    index
};

const fn data(direction: Direction, size: Size) -> Data {
    Data { direction, size, filled: OutExtent::OnSuccess, excess: Overflow::Refuse }
}

/// A structure of `len` bytes that the call reads.
const fn given(len: usize) -> ArgKind {
    ArgKind::Data(data(Direction::In, Size::Fixed(len)))
}

/// A structure of `len` bytes that the call fills if it succeeds.
const fn filled(len: usize) -> ArgKind {
    ArgKind::Data(data(Direction::Out, Size::Fixed(len)))
}

/// A structure of `len` bytes that the call reads, and changes if it succeeds.
const fn changed(len: usize) -> ArgKind {
    ArgKind::Data(data(Direction::InOut, Size::Fixed(len)))
}

/// A structure of `len` bytes that the call may change even if it fails.
const fn changed_always(len: usize) -> ArgKind {
    ArgKind::Data(Data { filled: OutExtent::Always, ..data(Direction::InOut, Size::Fixed(len)) })
}

/// Bytes, as many as argument `arg` says, all of which the call must read.
const fn bytes(arg: usize) -> ArgKind {
    elements(arg, 1)
}

/// Elements of `unit` bytes, as many as argument `arg` says, all of which the call must read.
const fn elements(arg: usize, unit: usize) -> ArgKind {
    ArgKind::Data(data(Direction::In, Size::Counted { arg, unit }))
}

/// Elements of `unit` bytes, as many as argument `arg` says, which the call reads and changes.
const fn elements_changed(arg: usize, unit: usize) -> ArgKind {
    ArgKind::Data(data(Direction::InOut, Size::Counted { arg, unit }))
}

/// Room for elements of `unit` bytes, as many as argument `arg` says; the call returns how many it
/// filled.
const fn elements_returned(arg: usize, unit: usize, excess: Overflow) -> ArgKind {
    ArgKind::Data(Data {
        filled: OutExtent::Returned,
        excess,
        ..data(Direction::Out, Size::Counted { arg, unit })
    })
}

/// Bytes to transfer, at most as many as argument `arg` says.
const fn source(arg: usize) -> ArgKind {
    ArgKind::Data(Data {
        excess: Overflow::Shorten,
        ..data(Direction::In, Size::Counted { arg, unit: 1 })
    })
}

/// Room for a transfer of at most as many bytes as argument `arg` says.
const fn sink(arg: usize) -> ArgKind {
    elements_returned(arg, 1, Overflow::Shorten)
}

/// Room of as many bytes as argument `arg` says, for something that fits or does not.
const fn room(arg: usize) -> ArgKind {
    elements_returned(arg, 1, Overflow::TruncateOrFail)
}

/// Segments to transfer from, as many as argument `count` says.
const fn gather(count: usize) -> ArgKind {
    ArgKind::Vector { direction: Direction::In, count }
}

/// Segments to transfer to, as many as argument `count` says.
const fn scatter(count: usize) -> ArgKind {
    ArgKind::Vector { direction: Direction::Out, count }
}

/// A set of the descriptors below what argument `arg` says.
const fn set(arg: usize) -> ArgKind {
    ArgKind::Data(data(Direction::InOut, Size::Bits { arg }))
}

/// Room for as many bytes as the number that argument `arg` points to says.
const fn told(arg: usize) -> ArgKind {
    ArgKind::Data(data(Direction::Out, Size::IndirectLen { arg }))
}

// Sizes of the kernel's structures, in bytes.
const EPOLL_EVENT: usize = size_of::<general::epoll_event>();
const FLOCK: usize = size_of::<general::flock>();
const INT: usize = size_of::<i32>();
const ITIMERSPEC: usize = size_of::<general::__kernel_itimerspec>();
const LOFF: usize = size_of::<general::__kernel_loff_t>();
const OWNER_EX: usize = size_of::<general::f_owner_ex>();
const PAIR: usize = 2 * INT;
const POLLFD: usize = size_of::<general::pollfd>();
const RLIMIT: usize = size_of::<general::rlimit>();
const RUSAGE: usize = size_of::<general::rusage>();
const SOCKLEN: usize = INT;
const STAT: usize = size_of::<general::stat>();
const STATFS: usize = size_of::<general::statfs>();
const STATX: usize = size_of::<general::statx>();
const SYSINFO: usize = size_of::<system::sysinfo>();
const TERMIOS: usize = size_of::<general::termios>();
const TIMESPEC: usize = size_of::<general::__kernel_timespec>();
const TIMEVAL: usize = size_of::<general::timeval>();
const TIMEZONE: usize = size_of::<general::timezone>();
/// `struct tms`: four `clock_t`.
const TMS: usize = 4 * size_of::<general::__kernel_clock_t>();
/// `struct utimbuf`: two `time_t`.
const UTIMBUF: usize = 2 * size_of::<general::__kernel_old_time_t>();
const UTSNAME: usize = size_of::<system::new_utsname>();
const WINSIZE: usize = size_of::<general::winsize>();

/// `fcntl`: commands with an integer or nothing, and locks. The commands that make Linux send
/// signals (`F_SETOWN`, `F_SETSIG`, `F_SETLEASE`, `F_NOTIFY`) are left out: the signals would go to
/// the proxy.
const FCNTL: ArgKind = ArgKind::Select {
    by: 1,
    cases: &[
        (general::F_DUPFD as u64, Value),
        (general::F_GETFD as u64, Value),
        (general::F_SETFD as u64, Value),
        (general::F_GETFL as u64, Value),
        (general::F_SETFL as u64, Value),
        (general::F_GETLK as u64, changed(FLOCK)),
        (general::F_SETLK as u64, given(FLOCK)),
        (general::F_SETLKW as u64, given(FLOCK)),
        (general::F_GETOWN as u64, Value),
        (general::F_GETSIG as u64, Value),
        (general::F_GETOWN_EX as u64, filled(OWNER_EX)),
        (general::F_OFD_GETLK as u64, changed(FLOCK)),
        (general::F_OFD_SETLK as u64, given(FLOCK)),
        (general::F_OFD_SETLKW as u64, given(FLOCK)),
        (general::F_GETLEASE as u64, Value),
        (general::F_DUPFD_CLOEXEC as u64, Value),
        (general::F_SETPIPE_SZ as u64, Value),
        (general::F_GETPIPE_SZ as u64, Value),
        (general::F_ADD_SEALS as u64, Value),
        (general::F_GET_SEALS as u64, Value),
    ],
};

/// `ioctl`: what programs ask of any file, and terminals. A device's own requests are not known
/// here.
const IOCTL: ArgKind = ArgKind::Select {
    by: 1,
    cases: &[
        (ioctl::TCGETS as u64, filled(TERMIOS)),
        (ioctl::TCSETS as u64, given(TERMIOS)),
        (ioctl::TCSETSW as u64, given(TERMIOS)),
        (ioctl::TCSETSF as u64, given(TERMIOS)),
        (ioctl::TCSBRK as u64, Value),
        (ioctl::TCXONC as u64, Value),
        (ioctl::TCFLSH as u64, Value),
        (ioctl::TIOCGPGRP as u64, filled(INT)),
        (ioctl::TIOCGWINSZ as u64, filled(WINSIZE)),
        (ioctl::TIOCSWINSZ as u64, given(WINSIZE)),
        (ioctl::FIONREAD as u64, filled(INT)),
        (ioctl::FIONBIO as u64, given(INT)),
        (ioctl::FIONCLEX as u64, Value),
        (ioctl::FIOCLEX as u64, Value),
    ],
};

calls! {
    // Files: open, close, transfer.
    READ = __NR_read: [Value, sink(2), Value];
    WRITE = __NR_write: [Value, source(2), Value];
    OPEN = __NR_open: [Text, Value, Value];
    CLOSE = __NR_close: [Value];
    LSEEK = __NR_lseek: [Value, Value, Value];
    PREAD64 = __NR_pread64: [Value, sink(2), Value, Value];
    PWRITE64 = __NR_pwrite64: [Value, source(2), Value, Value];
    READV = __NR_readv: [Value, scatter(2), Value];
    WRITEV = __NR_writev: [Value, gather(2), Value];
    SENDFILE = __NR_sendfile: [Value, Value, changed(LOFF), Value];
    CREAT = __NR_creat: [Text, Value];
    OPENAT = __NR_openat: [Value, Text, Value, Value];
    SPLICE = __NR_splice: [Value, changed(LOFF), Value, changed(LOFF), Value, Value];
    TEE = __NR_tee: [Value, Value, Value, Value];
    PREADV = __NR_preadv: [Value, scatter(2), Value, Value, Value];
    PWRITEV = __NR_pwritev: [Value, gather(2), Value, Value, Value];
    MEMFD_CREATE = __NR_memfd_create: [Text, Value];
    COPY_FILE_RANGE = __NR_copy_file_range:
        [Value, changed(LOFF), Value, changed(LOFF), Value, Value];
    PREADV2 = __NR_preadv2: [Value, scatter(2), Value, Value, Value, Value];
    PWRITEV2 = __NR_pwritev2: [Value, gather(2), Value, Value, Value, Value];
    OPENAT2 = __NR_openat2: [Value, Text, bytes(3), Value];

    // Files: their state and size.
    STAT = __NR_stat: [Text, filled(self::STAT)];
    FSTAT = __NR_fstat: [Value, filled(self::STAT)];
    LSTAT = __NR_lstat: [Text, filled(self::STAT)];
    ACCESS = __NR_access: [Text, Value];
    FSYNC = __NR_fsync: [Value];
    FDATASYNC = __NR_fdatasync: [Value];
    TRUNCATE = __NR_truncate: [Text, Value];
    FTRUNCATE = __NR_ftruncate: [Value, Value];
    STATFS = __NR_statfs: [Text, filled(self::STATFS)];
    FSTATFS = __NR_fstatfs: [Value, filled(self::STATFS)];
    SYNC = __NR_sync: [];
    READAHEAD = __NR_readahead: [Value, Value, Value];
    FADVISE64 = __NR_fadvise64: [Value, Value, Value, Value];
    NEWFSTATAT = __NR_newfstatat: [Value, Text, filled(self::STAT), Value];
    FACCESSAT = __NR_faccessat: [Value, Text, Value];
    SYNC_FILE_RANGE = __NR_sync_file_range: [Value, Value, Value, Value];
    FALLOCATE = __NR_fallocate: [Value, Value, Value, Value];
    SYNCFS = __NR_syncfs: [Value];
    STATX = __NR_statx: [Value, Text, Value, Value, filled(self::STATX)];
    FACCESSAT2 = __NR_faccessat2: [Value, Text, Value, Value];

    // Descriptors. `close_range` is local: it would close the proxy's own.
    IOCTL = __NR_ioctl: [Value, Value, self::IOCTL];
    DUP = __NR_dup: [Value];
    DUP2 = __NR_dup2: [Value, Value];
    FCNTL = __NR_fcntl: [Value, Value, self::FCNTL];
    FLOCK = __NR_flock: [Value, Value];
    DUP3 = __NR_dup3: [Value, Value, Value];

    // Directories and names.
    GETCWD = __NR_getcwd: [room(1), Value];
    CHDIR = __NR_chdir: [Text];
    FCHDIR = __NR_fchdir: [Value];
    RENAME = __NR_rename: [Text, Text];
    MKDIR = __NR_mkdir: [Text, Value];
    RMDIR = __NR_rmdir: [Text];
    LINK = __NR_link: [Text, Text];
    UNLINK = __NR_unlink: [Text];
    SYMLINK = __NR_symlink: [Text, Text];
    READLINK = __NR_readlink: [Text, room(2), Value];
    MKNOD = __NR_mknod: [Text, Value, Value];
    CHROOT = __NR_chroot: [Text];
    GETDENTS64 = __NR_getdents64: [Value, sink(2), Value];
    MKDIRAT = __NR_mkdirat: [Value, Text, Value];
    MKNODAT = __NR_mknodat: [Value, Text, Value, Value];
    UNLINKAT = __NR_unlinkat: [Value, Text, Value];
    RENAMEAT = __NR_renameat: [Value, Text, Value, Text];
    LINKAT = __NR_linkat: [Value, Text, Value, Text, Value];
    SYMLINKAT = __NR_symlinkat: [Text, Value, Text];
    READLINKAT = __NR_readlinkat: [Value, Text, room(3), Value];
    RENAMEAT2 = __NR_renameat2: [Value, Text, Value, Text, Value];

    // Permissions, owners, times of files.
    CHMOD = __NR_chmod: [Text, Value];
    FCHMOD = __NR_fchmod: [Value, Value];
    CHOWN = __NR_chown: [Text, Value, Value];
    FCHOWN = __NR_fchown: [Value, Value, Value];
    LCHOWN = __NR_lchown: [Text, Value, Value];
    UMASK = __NR_umask: [Value];
    UTIME = __NR_utime: [Text, given(UTIMBUF)];
    UTIMES = __NR_utimes: [Text, given(2 * TIMEVAL)];
    FCHOWNAT = __NR_fchownat: [Value, Text, Value, Value, Value];
    FUTIMESAT = __NR_futimesat: [Value, Text, given(2 * TIMEVAL)];
    FCHMODAT = __NR_fchmodat: [Value, Text, Value];
    UTIMENSAT = __NR_utimensat: [Value, Text, given(2 * TIMESPEC), Value];
    FCHMODAT2 = __NR_fchmodat2: [Value, Text, Value, Value];

    // Extended attributes.
    SETXATTR = __NR_setxattr: [Text, Text, bytes(3), Value, Value];
    LSETXATTR = __NR_lsetxattr: [Text, Text, bytes(3), Value, Value];
    FSETXATTR = __NR_fsetxattr: [Value, Text, bytes(3), Value, Value];
    GETXATTR = __NR_getxattr: [Text, Text, room(3), Value];
    LGETXATTR = __NR_lgetxattr: [Text, Text, room(3), Value];
    FGETXATTR = __NR_fgetxattr: [Value, Text, room(3), Value];
    LISTXATTR = __NR_listxattr: [Text, room(2), Value];
    LLISTXATTR = __NR_llistxattr: [Text, room(2), Value];
    FLISTXATTR = __NR_flistxattr: [Value, room(2), Value];
    REMOVEXATTR = __NR_removexattr: [Text, Text];
    LREMOVEXATTR = __NR_lremovexattr: [Text, Text];
    FREMOVEXATTR = __NR_fremovexattr: [Value, Text];

    // Time. What is left of a sleep is written when the call fails with EINTR.
    NANOSLEEP = __NR_nanosleep: [given(TIMESPEC), changed_always(TIMESPEC)];
    GETTIMEOFDAY = __NR_gettimeofday: [filled(TIMEVAL), filled(TIMEZONE)];
    TIMES = __NR_times: [filled(TMS)];
    TIME = __NR_time: [filled(8)];
    CLOCK_GETTIME = __NR_clock_gettime: [Value, filled(TIMESPEC)];
    CLOCK_GETRES = __NR_clock_getres: [Value, filled(TIMESPEC)];
    CLOCK_NANOSLEEP = __NR_clock_nanosleep:
        [Value, Value, given(TIMESPEC), changed_always(TIMESPEC)];
    TIMERFD_CREATE = __NR_timerfd_create: [Value, Value];
    TIMERFD_SETTIME = __NR_timerfd_settime: [Value, Value, given(ITIMERSPEC), filled(ITIMERSPEC)];
    TIMERFD_GETTIME = __NR_timerfd_gettime: [Value, filled(ITIMERSPEC)];

    // Ids and credentials: the proxy's, to Linux.
    GETPID = __NR_getpid: [];
    GETUID = __NR_getuid: [];
    GETGID = __NR_getgid: [];
    GETEUID = __NR_geteuid: [];
    GETEGID = __NR_getegid: [];
    GETPPID = __NR_getppid: [];
    GETPGRP = __NR_getpgrp: [];
    GETGROUPS = __NR_getgroups: [Value, elements_returned(0, INT, Overflow::Refuse)];
    GETRESUID = __NR_getresuid: [filled(INT), filled(INT), filled(INT)];
    GETRESGID = __NR_getresgid: [filled(INT), filled(INT), filled(INT)];
    GETPGID = __NR_getpgid: [Value];
    GETSID = __NR_getsid: [Value];
    GETTID = __NR_gettid: [];

    // Others, and the system.
    KILL = __NR_kill: [Value, Value];
    UNAME = __NR_uname: [filled(UTSNAME)];
    GETRLIMIT = __NR_getrlimit: [Value, filled(RLIMIT)];
    GETRUSAGE = __NR_getrusage: [Value, filled(RUSAGE)];
    SYSINFO = __NR_sysinfo: [filled(self::SYSINFO)];
    GETPRIORITY = __NR_getpriority: [Value, Value];
    GETRANDOM = __NR_getrandom: [sink(1), Value, Value];

    // Pipes, events, polling. A `poll` counts what is ready, and fills all that it was given.
    POLL = __NR_poll: [elements_changed(1, POLLFD), Value, Value];
    PIPE = __NR_pipe: [filled(PAIR)];
    SELECT = __NR_select: [Value, set(0), set(0), set(0), changed_always(TIMEVAL)];
    EPOLL_WAIT = __NR_epoll_wait:
        [Value, elements_returned(2, EPOLL_EVENT, Overflow::Shorten), Value, Value];
    EPOLL_CTL = __NR_epoll_ctl: [Value, Value, Value, given(EPOLL_EVENT)];
    INOTIFY_ADD_WATCH = __NR_inotify_add_watch: [Value, Text, Value];
    INOTIFY_RM_WATCH = __NR_inotify_rm_watch: [Value, Value];
    PPOLL = __NR_ppoll:
        [elements_changed(1, POLLFD), Value, changed_always(TIMESPEC), bytes(4), Value];
    EVENTFD2 = __NR_eventfd2: [Value, Value];
    EPOLL_CREATE1 = __NR_epoll_create1: [Value];
    PIPE2 = __NR_pipe2: [filled(PAIR), Value];
    INOTIFY_INIT1 = __NR_inotify_init1: [Value];

    // Sockets, without `sendmsg` and `recvmsg`. A message cannot be sent in parts, so a `sendto`
    // that does not fit is refused; a `recvfrom` may always return less.
    SOCKET = __NR_socket: [Value, Value, Value];
    CONNECT = __NR_connect: [Value, bytes(2), Value];
    ACCEPT = __NR_accept: [Value, told(2), changed(SOCKLEN)];
    SENDTO = __NR_sendto: [Value, bytes(2), Value, Value, bytes(5), Value];
    RECVFROM = __NR_recvfrom: [Value, sink(2), Value, Value, told(5), changed(SOCKLEN)];
    SHUTDOWN = __NR_shutdown: [Value, Value];
    BIND = __NR_bind: [Value, bytes(2), Value];
    LISTEN = __NR_listen: [Value, Value];
    GETSOCKNAME = __NR_getsockname: [Value, told(2), changed(SOCKLEN)];
    GETPEERNAME = __NR_getpeername: [Value, told(2), changed(SOCKLEN)];
    SOCKETPAIR = __NR_socketpair: [Value, Value, Value, filled(PAIR)];
    SETSOCKOPT = __NR_setsockopt: [Value, Value, Value, bytes(4), Value];
    GETSOCKOPT = __NR_getsockopt: [Value, Value, Value, told(4), changed(SOCKLEN)];
    ACCEPT4 = __NR_accept4: [Value, told(2), changed(SOCKLEN), Value];
}
