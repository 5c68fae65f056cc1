//! The table itself: one line for each call.

use super::{ArgKind, Call, Data, Direction, OutExtent, Overflow, Size};

use ArgKind::{Text, Value};

/// Numbers that the index covers; every call's is below.
const NUMBERS: usize = 512;
/// In the index: there is no such call.
const NONE: u8 = u8::MAX;

macro_rules! calls {
    ($( $constant:ident = $nr:literal, $name:literal: [$($place:expr),*]; )*) => {
        /// Every call that can be carried, in groups.
        pub const CALLS: &[Call] = &[
            $( Call { name: $name, nr: $nr, args: &[$($place),*] } ),*
        ];

        /// Numbers of the calls that can be carried, by name.
        pub mod nr {
            $(
                #[doc = concat!("Number of `", $name, "`.")]
                pub const $constant: u64 = $nr;
            )*
        }
    };
}

/// Position in [`CALLS`] of each number. A number that is there twice does not compile.
pub(super) static INDEX: [u8; NUMBERS] = {
    assert!(CALLS.len() < NONE as usize);
    let mut index = [NONE; NUMBERS];
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

// Sizes of the kernel's structures on x86-64, in bytes.
const EPOLL_EVENT: usize = 12;
const FLOCK: usize = 32;
const INT: usize = 4;
const ITIMERSPEC: usize = 32;
const LOFF: usize = 8;
const OWNER_EX: usize = 8;
const PAIR: usize = 8;
const POLLFD: usize = 8;
const RLIMIT: usize = 16;
const RUSAGE: usize = 144;
const SOCKLEN: usize = 4;
const STAT: usize = 144;
const STATFS: usize = 120;
const STATX: usize = 256;
const SYSINFO: usize = 112;
const TERMIOS: usize = 36;
const TIMESPEC: usize = 16;
const TIMEVAL: usize = 16;
const TIMEZONE: usize = 8;
const TMS: usize = 32;
const UTIMBUF: usize = 16;
const UTSNAME: usize = 390;
const WINSIZE: usize = 8;

/// `fcntl`: commands with an integer or nothing, and locks. The commands that make Linux send
/// signals (`F_SETOWN`, `F_SETSIG`, `F_SETLEASE`, `F_NOTIFY`) are left out: the signals would go to
/// the proxy.
const FCNTL: ArgKind = ArgKind::Select {
    by: 1,
    cases: &[
        (0, Value),             // F_DUPFD
        (1, Value),             // F_GETFD
        (2, Value),             // F_SETFD
        (3, Value),             // F_GETFL
        (4, Value),             // F_SETFL
        (5, changed(FLOCK)),    // F_GETLK
        (6, given(FLOCK)),      // F_SETLK
        (7, given(FLOCK)),      // F_SETLKW
        (9, Value),             // F_GETOWN
        (11, Value),            // F_GETSIG
        (16, filled(OWNER_EX)), // F_GETOWN_EX
        (36, changed(FLOCK)),   // F_OFD_GETLK
        (37, given(FLOCK)),     // F_OFD_SETLK
        (38, given(FLOCK)),     // F_OFD_SETLKW
        (1025, Value),          // F_GETLEASE
        (1030, Value),          // F_DUPFD_CLOEXEC
        (1031, Value),          // F_SETPIPE_SZ
        (1032, Value),          // F_GETPIPE_SZ
        (1033, Value),          // F_ADD_SEALS
        (1034, Value),          // F_GET_SEALS
    ],
};

/// `ioctl`: what programs ask of any file, and terminals. A device's own requests are not known
/// here.
const IOCTL: ArgKind = ArgKind::Select {
    by: 1,
    cases: &[
        (0x5401, filled(TERMIOS)), // TCGETS
        (0x5402, given(TERMIOS)),  // TCSETS
        (0x5403, given(TERMIOS)),  // TCSETSW
        (0x5404, given(TERMIOS)),  // TCSETSF
        (0x5409, Value),           // TCSBRK
        (0x540a, Value),           // TCXONC
        (0x540b, Value),           // TCFLSH
        (0x540f, filled(INT)),     // TIOCGPGRP
        (0x5413, filled(WINSIZE)), // TIOCGWINSZ
        (0x5414, given(WINSIZE)),  // TIOCSWINSZ
        (0x541b, filled(INT)),     // FIONREAD
        (0x5421, given(INT)),      // FIONBIO
        (0x5450, Value),           // FIONCLEX
        (0x5451, Value),           // FIOCLEX
    ],
};

calls! {
    // Files: open, close, transfer.
    READ = 0, "read": [Value, sink(2), Value];
    WRITE = 1, "write": [Value, source(2), Value];
    OPEN = 2, "open": [Text, Value, Value];
    CLOSE = 3, "close": [Value];
    LSEEK = 8, "lseek": [Value, Value, Value];
    PREAD64 = 17, "pread64": [Value, sink(2), Value, Value];
    PWRITE64 = 18, "pwrite64": [Value, source(2), Value, Value];
    READV = 19, "readv": [Value, scatter(2), Value];
    WRITEV = 20, "writev": [Value, gather(2), Value];
    SENDFILE = 40, "sendfile": [Value, Value, changed(LOFF), Value];
    CREAT = 85, "creat": [Text, Value];
    OPENAT = 257, "openat": [Value, Text, Value, Value];
    SPLICE = 275, "splice": [Value, changed(LOFF), Value, changed(LOFF), Value, Value];
    TEE = 276, "tee": [Value, Value, Value, Value];
    PREADV = 295, "preadv": [Value, scatter(2), Value, Value, Value];
    PWRITEV = 296, "pwritev": [Value, gather(2), Value, Value, Value];
    MEMFD_CREATE = 319, "memfd_create": [Text, Value];
    COPY_FILE_RANGE = 326, "copy_file_range":
        [Value, changed(LOFF), Value, changed(LOFF), Value, Value];
    PREADV2 = 327, "preadv2": [Value, scatter(2), Value, Value, Value, Value];
    PWRITEV2 = 328, "pwritev2": [Value, gather(2), Value, Value, Value, Value];
    OPENAT2 = 437, "openat2": [Value, Text, bytes(3), Value];

    // Files: their state and size.
    STAT = 4, "stat": [Text, filled(self::STAT)];
    FSTAT = 5, "fstat": [Value, filled(self::STAT)];
    LSTAT = 6, "lstat": [Text, filled(self::STAT)];
    ACCESS = 21, "access": [Text, Value];
    FSYNC = 74, "fsync": [Value];
    FDATASYNC = 75, "fdatasync": [Value];
    TRUNCATE = 76, "truncate": [Text, Value];
    FTRUNCATE = 77, "ftruncate": [Value, Value];
    STATFS = 137, "statfs": [Text, filled(self::STATFS)];
    FSTATFS = 138, "fstatfs": [Value, filled(self::STATFS)];
    SYNC = 162, "sync": [];
    READAHEAD = 187, "readahead": [Value, Value, Value];
    FADVISE64 = 221, "fadvise64": [Value, Value, Value, Value];
    NEWFSTATAT = 262, "newfstatat": [Value, Text, filled(self::STAT), Value];
    FACCESSAT = 269, "faccessat": [Value, Text, Value];
    SYNC_FILE_RANGE = 277, "sync_file_range": [Value, Value, Value, Value];
    FALLOCATE = 285, "fallocate": [Value, Value, Value, Value];
    SYNCFS = 306, "syncfs": [Value];
    STATX = 332, "statx": [Value, Text, Value, Value, filled(self::STATX)];
    FACCESSAT2 = 439, "faccessat2": [Value, Text, Value, Value];

    // Descriptors. `close_range` is local: it would close the proxy's own.
    IOCTL = 16, "ioctl": [Value, Value, self::IOCTL];
    DUP = 32, "dup": [Value];
    DUP2 = 33, "dup2": [Value, Value];
    FCNTL = 72, "fcntl": [Value, Value, self::FCNTL];
    FLOCK = 73, "flock": [Value, Value];
    DUP3 = 292, "dup3": [Value, Value, Value];

    // Directories and names.
    GETCWD = 79, "getcwd": [room(1), Value];
    CHDIR = 80, "chdir": [Text];
    FCHDIR = 81, "fchdir": [Value];
    RENAME = 82, "rename": [Text, Text];
    MKDIR = 83, "mkdir": [Text, Value];
    RMDIR = 84, "rmdir": [Text];
    LINK = 86, "link": [Text, Text];
    UNLINK = 87, "unlink": [Text];
    SYMLINK = 88, "symlink": [Text, Text];
    READLINK = 89, "readlink": [Text, room(2), Value];
    MKNOD = 133, "mknod": [Text, Value, Value];
    CHROOT = 161, "chroot": [Text];
    GETDENTS64 = 217, "getdents64": [Value, sink(2), Value];
    MKDIRAT = 258, "mkdirat": [Value, Text, Value];
    MKNODAT = 259, "mknodat": [Value, Text, Value, Value];
    UNLINKAT = 263, "unlinkat": [Value, Text, Value];
    RENAMEAT = 264, "renameat": [Value, Text, Value, Text];
    LINKAT = 265, "linkat": [Value, Text, Value, Text, Value];
    SYMLINKAT = 266, "symlinkat": [Text, Value, Text];
    READLINKAT = 267, "readlinkat": [Value, Text, room(3), Value];
    RENAMEAT2 = 316, "renameat2": [Value, Text, Value, Text, Value];

    // Permissions, owners, times of files.
    CHMOD = 90, "chmod": [Text, Value];
    FCHMOD = 91, "fchmod": [Value, Value];
    CHOWN = 92, "chown": [Text, Value, Value];
    FCHOWN = 93, "fchown": [Value, Value, Value];
    LCHOWN = 94, "lchown": [Text, Value, Value];
    UMASK = 95, "umask": [Value];
    UTIME = 132, "utime": [Text, given(UTIMBUF)];
    UTIMES = 235, "utimes": [Text, given(2 * TIMEVAL)];
    FCHOWNAT = 260, "fchownat": [Value, Text, Value, Value, Value];
    FUTIMESAT = 261, "futimesat": [Value, Text, given(2 * TIMEVAL)];
    FCHMODAT = 268, "fchmodat": [Value, Text, Value];
    UTIMENSAT = 280, "utimensat": [Value, Text, given(2 * TIMESPEC), Value];
    FCHMODAT2 = 452, "fchmodat2": [Value, Text, Value, Value];

    // Extended attributes.
    SETXATTR = 188, "setxattr": [Text, Text, bytes(3), Value, Value];
    LSETXATTR = 189, "lsetxattr": [Text, Text, bytes(3), Value, Value];
    FSETXATTR = 190, "fsetxattr": [Value, Text, bytes(3), Value, Value];
    GETXATTR = 191, "getxattr": [Text, Text, room(3), Value];
    LGETXATTR = 192, "lgetxattr": [Text, Text, room(3), Value];
    FGETXATTR = 193, "fgetxattr": [Value, Text, room(3), Value];
    LISTXATTR = 194, "listxattr": [Text, room(2), Value];
    LLISTXATTR = 195, "llistxattr": [Text, room(2), Value];
    FLISTXATTR = 196, "flistxattr": [Value, room(2), Value];
    REMOVEXATTR = 197, "removexattr": [Text, Text];
    LREMOVEXATTR = 198, "lremovexattr": [Text, Text];
    FREMOVEXATTR = 199, "fremovexattr": [Value, Text];

    // Time. What is left of a sleep is written when the call fails with EINTR.
    NANOSLEEP = 35, "nanosleep": [given(TIMESPEC), changed_always(TIMESPEC)];
    GETTIMEOFDAY = 96, "gettimeofday": [filled(TIMEVAL), filled(TIMEZONE)];
    TIMES = 100, "times": [filled(TMS)];
    TIME = 201, "time": [filled(8)];
    CLOCK_GETTIME = 228, "clock_gettime": [Value, filled(TIMESPEC)];
    CLOCK_GETRES = 229, "clock_getres": [Value, filled(TIMESPEC)];
    CLOCK_NANOSLEEP = 230, "clock_nanosleep":
        [Value, Value, given(TIMESPEC), changed_always(TIMESPEC)];
    TIMERFD_CREATE = 283, "timerfd_create": [Value, Value];
    TIMERFD_SETTIME = 286, "timerfd_settime": [Value, Value, given(ITIMERSPEC), filled(ITIMERSPEC)];
    TIMERFD_GETTIME = 287, "timerfd_gettime": [Value, filled(ITIMERSPEC)];

    // Identity: the proxy's, to Linux.
    GETPID = 39, "getpid": [];
    GETUID = 102, "getuid": [];
    GETGID = 104, "getgid": [];
    GETEUID = 107, "geteuid": [];
    GETEGID = 108, "getegid": [];
    GETPPID = 110, "getppid": [];
    GETPGRP = 111, "getpgrp": [];
    GETGROUPS = 115, "getgroups": [Value, elements_returned(0, INT, Overflow::Refuse)];
    GETRESUID = 118, "getresuid": [filled(INT), filled(INT), filled(INT)];
    GETRESGID = 120, "getresgid": [filled(INT), filled(INT), filled(INT)];
    GETPGID = 121, "getpgid": [Value];
    GETSID = 124, "getsid": [Value];
    GETTID = 186, "gettid": [];

    // Others, and the system.
    KILL = 62, "kill": [Value, Value];
    UNAME = 63, "uname": [filled(UTSNAME)];
    GETRLIMIT = 97, "getrlimit": [Value, filled(RLIMIT)];
    GETRUSAGE = 98, "getrusage": [Value, filled(RUSAGE)];
    SYSINFO = 99, "sysinfo": [filled(self::SYSINFO)];
    GETPRIORITY = 140, "getpriority": [Value, Value];
    GETRANDOM = 318, "getrandom": [sink(1), Value, Value];

    // Pipes, events, polling. A `poll` counts what is ready, and fills all that it was given.
    POLL = 7, "poll": [elements_changed(1, POLLFD), Value, Value];
    PIPE = 22, "pipe": [filled(PAIR)];
    SELECT = 23, "select": [Value, set(0), set(0), set(0), changed_always(TIMEVAL)];
    EPOLL_WAIT = 232, "epoll_wait":
        [Value, elements_returned(2, EPOLL_EVENT, Overflow::Shorten), Value, Value];
    EPOLL_CTL = 233, "epoll_ctl": [Value, Value, Value, given(EPOLL_EVENT)];
    INOTIFY_ADD_WATCH = 254, "inotify_add_watch": [Value, Text, Value];
    INOTIFY_RM_WATCH = 255, "inotify_rm_watch": [Value, Value];
    PPOLL = 271, "ppoll":
        [elements_changed(1, POLLFD), Value, changed_always(TIMESPEC), bytes(4), Value];
    EVENTFD2 = 290, "eventfd2": [Value, Value];
    EPOLL_CREATE1 = 291, "epoll_create1": [Value];
    PIPE2 = 293, "pipe2": [filled(PAIR), Value];
    INOTIFY_INIT1 = 294, "inotify_init1": [Value];

    // Sockets, without `sendmsg` and `recvmsg`. A message cannot be sent in parts, so a `sendto`
    // that does not fit is refused; a `recvfrom` may always return less.
    SOCKET = 41, "socket": [Value, Value, Value];
    CONNECT = 42, "connect": [Value, bytes(2), Value];
    ACCEPT = 43, "accept": [Value, told(2), changed(SOCKLEN)];
    SENDTO = 44, "sendto": [Value, bytes(2), Value, Value, bytes(5), Value];
    RECVFROM = 45, "recvfrom": [Value, sink(2), Value, Value, told(5), changed(SOCKLEN)];
    SHUTDOWN = 48, "shutdown": [Value, Value];
    BIND = 49, "bind": [Value, bytes(2), Value];
    LISTEN = 50, "listen": [Value, Value];
    GETSOCKNAME = 51, "getsockname": [Value, told(2), changed(SOCKLEN)];
    GETPEERNAME = 52, "getpeername": [Value, told(2), changed(SOCKLEN)];
    SOCKETPAIR = 53, "socketpair": [Value, Value, Value, filled(PAIR)];
    SETSOCKOPT = 54, "setsockopt": [Value, Value, Value, bytes(4), Value];
    GETSOCKOPT = 55, "getsockopt": [Value, Value, Value, told(4), changed(SOCKLEN)];
    ACCEPT4 = 288, "accept4": [Value, told(2), changed(SOCKLEN), Value];
}
