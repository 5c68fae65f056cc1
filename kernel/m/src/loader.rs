//! Loading a program: the m-kernel reads the file through the new process's own proxy, so Linux
//! checks the rights of the user who runs it, in their directory.
//!
//! A state machine from one returned call to the next; the kernel waits for nothing.

use ant_abi::bundle::USES_MAX;
use ant_abi::layout::STACK_TOP;
use ant_abi::lca::{CFLAG_CONTINUE, LCA_BUFFER, Lca};
use ant_abi::{Error, PAGE_SIZE, PhysAddr, UserVirt};
use ant_logic::calls::nr;
use ant_logic::lca::{Builder, count, result};
use arrayvec::ArrayVec;
use core::ops::Range;
use linux_raw_sys::general::{AT_FDCWD, O_CLOEXEC, O_RDONLY};

use ant_arch::context::Context;
use ant_arch::paging::{Access, AddressSpace, MapError, Pages, phys_to_virt};
use ant_p::linux::lca::LcaPage;
use ant_p::locals::Caller;
use ant_p::user_memory::{self, UserRange, fill};
use zerocopy::IntoBytes;

use crate::program::{Program, Segment};

/// Pages of a process's stack.
const STACK_PAGES: u64 = 16;
/// Arguments that a program can get; more than fit the string area.
const MAX_ARGS: usize = 256;
/// Strings that its environment can have.
const MAX_ENVIRONMENT: usize = 16;

// Beside those that it uses, a server has `init` and `own`.
const _: () = assert!(USES_MAX + 2 <= MAX_ENVIRONMENT);

/// The strings that a program begins with, each ended by NUL.
#[derive(Clone, Copy, Debug)]
pub struct Startup<'a> {
    /// Its arguments, its name or path first.
    pub arguments: &'a [u8],
    /// Its environment: the handles that it has, `NAME=HANDLE`.
    pub environment: &'a [u8],
}

impl Startup<'_> {
    /// Whether every string has its end, and there is room for all of them.
    pub fn check(self) -> Result<(), Error> {
        let parts = [self.arguments, self.environment];
        if parts.iter().any(|part| part.last().is_some_and(|&byte| byte != 0)) {
            return Err(Error::Invalid);
        }
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
        let fits = bytes <= LCA_BUFFER
            && count_strings(self.arguments) <= MAX_ARGS
            && count_strings(self.environment) <= MAX_ENVIRONMENT;
        fits.then_some(()).ok_or(Error::TooLong)
    }
}

/// How many strings there are.
fn count_strings(strings: &[u8]) -> usize {
    strings.iter().filter(|&&byte| byte == 0).count()
}

/// The strings of a new process, in a page of the kernel's. The path is the program's argument 0.
#[derive(Debug)]
pub struct Strings {
    /// The page.
    page: PhysAddr,
    path_len: usize,
    arguments_len: usize,
    len: usize,
}

impl Strings {
    /// Keeps strings in the (fresh) page `page`. The path, with its NUL, is the first
    /// `path_len` bytes.
    pub fn new(page: PhysAddr, startup: Startup<'_>, path_len: usize) -> Result<Self, Error> {
        let Startup { arguments, environment } = startup;
        let path_end = arguments.iter().position(|&byte| byte == 0);
        if path_len < 2 || path_end != Some(path_len - 1) {
            return Err(Error::Invalid);
        }
        startup.check()?;
        let place = phys_to_virt(page);
        // SAFETY: the page is the caller's to give, and LCA_BUFFER, which bounds both parts together, is
        // less than a page.
        unsafe {
            place.copy_from_nonoverlapping(arguments.as_ptr(), arguments.len());
            let behind = place.add(arguments.len());
            behind.copy_from_nonoverlapping(environment.as_ptr(), environment.len());
        }
        let (arguments_len, len) = (arguments.len(), arguments.len() + environment.len());
        Ok(Self { page, path_len, arguments_len, len })
    }

    fn startup(&self) -> Startup<'_> {
        let (arguments, environment) = self.bytes().split_at(self.arguments_len);
        Startup { arguments, environment }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: written by `new`, and no other has the page.
        unsafe { core::slice::from_raw_parts(phys_to_virt(self.page), self.len) }
    }

    fn path(&self) -> &[u8] {
        &self.bytes()[..self.path_len]
    }

    /// Gives the page back.
    pub fn free(self, pages: &mut impl Pages) {
        pages.free(self.page);
    }
}

/// Which call is with Linux.
#[derive(Debug)]
enum Step {
    Open,
    Head,
    /// Bytes of segment `index` from `done` on.
    Segment {
        index: usize,
        done: u64,
    },
    Close,
}

/// A program that is being loaded.
#[derive(Debug)]
pub struct Loader {
    strings: Strings,
    step: Step,
    fd: u64,
    /// Where in the LCA's buffer the call under way leaves its bytes, and how many at the most.
    output: Range<usize>,
    program: Option<Program>,
}

/// Where loading stands.
#[derive(Debug)]
pub enum Progress {
    /// The next call is in the LCA.
    Call,
    /// The process can run.
    Done,
    /// It cannot; why.
    Failed(Failure),
}

/// Why a program was not loaded.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Linux's number of the error.
    pub errno: u64,
    /// What was wrong, for people; empty when the number says it all.
    pub text: &'static str,
}

impl Failure {
    fn format(text: &'static str) -> Self {
        Self { errno: Error::NotExecutable as u64, text }
    }

    /// Linux's error number, which is `EPROTO` if what a call has returned cannot be.
    fn linux(errno: i32) -> Self {
        let is_nonsense = errno == Error::Protocol as i32;
        let text = if is_nonsense { "Linux returned nonsense" } else { "" };
        Self { errno: errno.unsigned_abs().into(), text }
    }
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Self {
        match error {
            MapError::NoMemory => {
                Self { errno: Error::NoMemory as u64, text: "AnT has no memory left" }
            }
            MapError::Taken => Self::format("two of its segments share a page"),
        }
    }
}

impl Loader {
    /// A loader; its first call, the `openat`, is in `lca` now.
    pub fn begin(strings: Strings, lca: &mut Lca) -> Self {
        let mut builder = start_call(lca, nr::OPENAT);
        builder.value(AT_FDCWD as u64);
        builder.input(strings.path()).expect("a path fits the buffer");
        builder.value(u64::from(O_RDONLY | O_CLOEXEC));
        builder.finish();
        Self { strings, step: Step::Open, fd: 0, output: 0..0, program: None }
    }

    /// Goes on after the call under way has returned.
    pub fn advance(&mut self, new: &mut Caller<'_>, pages: &mut impl Pages) -> Progress {
        self.take_result(new, pages).unwrap_or_else(Progress::Failed)
    }

    /// Gives back what the loader itself took.
    pub fn free(self, pages: &mut impl Pages) {
        self.strings.free(pages);
    }

    fn take_result(
        &mut self,
        new: &mut Caller<'_>,
        pages: &mut impl Pages,
    ) -> Result<Progress, Failure> {
        let retval = lca(new).retval();
        match self.step {
            Step::Open => {
                self.fd = result(retval).map_err(Failure::linux)?;
                self.step = Step::Head;
                self.read(new, 0, LCA_BUFFER);
                Ok(Progress::Call)
            }
            Step::Head => {
                let mut head = [0; LCA_BUFFER];
                let head = &mut head[..self.bytes_read(retval)?];
                lca(new).copy_buffer(self.output.start, head);
                let program = Program::parse(head).map_err(Failure::format)?;
                for segment in &program.segments {
                    map_segment(new, segment, pages)?;
                }
                self.program = Some(program);
                Ok(self.next_piece(new, 0, 0))
            }
            Step::Segment { index, done } => {
                let mut piece = [0; LCA_BUFFER];
                let piece = &mut piece[..self.bytes_read(retval)?];
                if piece.is_empty() {
                    return Err(Failure::format(CUT_SHORT));
                }
                lca(new).copy_buffer(self.output.start, piece);
                let segment = self.segment(index).expect("its bytes were asked for");
                fill(&new.process.space, segment.virt + done, piece)
                    .map_err(|_| Failure::format("a segment lies outside its pages"))?;
                Ok(self.next_piece(new, index, done + piece.len() as u64))
            }
            Step::Close => {
                result(retval).map_err(Failure::linux)?;
                let program = self.program.as_ref().expect("its head was read first");
                enter(new, program.entry, self.strings.startup(), pages)?;
                Ok(Progress::Done)
            }
        }
    }

    /// How many bytes the call under way has read.
    fn bytes_read(&self, retval: i64) -> Result<usize, Failure> {
        count(retval, self.output.len()).map_err(Failure::linux)
    }

    fn segment(&self, index: usize) -> Option<&Segment> {
        self.program.as_ref().and_then(|program| program.segments.get(index))
    }

    /// Asks for what is to be read next: more of segment `index`, or of the next that has bytes.
    fn next_piece(&mut self, new: &mut Caller<'_>, mut index: usize, mut done: u64) -> Progress {
        while let Some(segment) = self.segment(index) {
            let left = segment.file_size - done;
            if left > 0 {
                let offset = segment.offset + done;
                let len = left.min(LCA_BUFFER as u64) as usize;
                self.step = Step::Segment { index, done };
                self.read(new, offset, len);
                return Progress::Call;
            }
            index += 1;
            done = 0;
        }
        self.step = Step::Close;
        let mut builder = start_call(lca(new).contents(), nr::CLOSE);
        builder.value(self.fd);
        builder.finish();
        Progress::Call
    }

    fn read(&mut self, new: &mut Caller<'_>, offset: u64, len: usize) {
        let mut builder = start_call(lca(new).contents(), nr::PREAD64);
        builder.value(self.fd);
        let start = builder.output(len).expect("an empty buffer has room");
        self.output = start..start + len;
        builder.value(len as u64);
        builder.value(offset);
        builder.finish();
    }
}

/// Where the bytes of a program come from that needs no proxy.
pub trait Source {
    /// How many there are.
    fn len(&self) -> u64;
    /// Copies those from `offset` on.
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<(), Failure>;
}

/// A program in the kernel's memory.
pub struct InMemory<'a>(pub &'a [u8]);

impl Source for InMemory<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<(), Failure> {
        let start = offset as usize;
        let bytes = self.0.get(start..start + out.len()).ok_or(Failure::format(CUT_SHORT))?;
        out.copy_from_slice(bytes);
        Ok(())
    }
}

/// A program in the memory of a process, `init`.
pub struct InProcess<'a> {
    /// The process's memory.
    pub space: &'a AddressSpace,
    /// Where it is.
    pub program: UserRange,
}

impl Source for InProcess<'_> {
    fn len(&self) -> u64 {
        self.program.bytes()
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<(), Failure> {
        let part = self.program.part(offset, out.len() as u64);
        let part = part.ok_or(Failure::format(CUT_SHORT))?;
        user_memory::read(self.space, part, out)
            .map(drop)
            .map_err(|error| Failure { errno: error as u64, text: "" })
    }
}

const CUT_SHORT: &str = "it is cut short";

/// Loads a program from a source that has all its bytes.
pub fn load_from(
    new: &mut Caller<'_>,
    source: &mut impl Source,
    startup: Startup<'_>,
    pages: &mut impl Pages,
) -> Result<(), Failure> {
    let mut buffer = [0; LCA_BUFFER];
    let head = &mut buffer[..source.len().min(LCA_BUFFER as u64) as usize];
    source.read(0, head)?;
    let program = Program::parse(head).map_err(Failure::format)?;
    for segment in &program.segments {
        map_segment(new, segment, pages)?;
        for done in (0..segment.file_size).step_by(LCA_BUFFER) {
            let piece = &mut buffer[..(segment.file_size - done).min(LCA_BUFFER as u64) as usize];
            source.read(segment.offset + done, piece)?;
            fill(&new.process.space, segment.virt + done, piece).expect("just mapped");
        }
    }
    enter(new, program.entry, startup, pages)
}

fn lca<'a>(new: &'a mut Caller<'_>) -> &'a mut LcaPage {
    let channel = new.thread.linux.first();
    &mut channel.expect("a process that is loaded through its proxy has a channel").lca
}

fn start_call(lca: &mut Lca, number: u64) -> Builder<'_> {
    lca.cflag = CFLAG_CONTINUE;
    Builder::new(lca, number)
}

fn map_segment(
    new: &mut Caller<'_>,
    segment: &Segment,
    pages: &mut impl Pages,
) -> Result<(), Failure> {
    for virt in segment.pages() {
        map_fresh(new, virt, segment.access, pages)?;
    }
    Ok(())
}

fn map_fresh(
    new: &mut Caller<'_>,
    virt: UserVirt,
    access: Access,
    pages: &mut impl Pages,
) -> Result<(), Failure> {
    let page = pages.alloc().ok_or(MapError::NoMemory)?;
    new.process.space.map(virt, page, access, pages).map_err(|error| {
        pages.free(page);
        error.into()
    })
}

/// Gives the process its stack, with its strings laid out as Linux does (argc, argv, environment,
/// auxiliary vector), and sets its first instruction.
fn enter(
    new: &mut Caller<'_>,
    entry: UserVirt,
    startup: Startup<'_>,
    pages: &mut impl Pages,
) -> Result<(), Failure> {
    for page in 1..=STACK_PAGES {
        let virt = STACK_TOP - page * PAGE_SIZE as u64;
        map_fresh(new, virt, Access::ReadWrite, pages)?;
    }
    let Startup { arguments, environment } = startup;
    let strings = (STACK_TOP - (arguments.len() + environment.len()) as u64).align_down(16);
    let mut words = ArrayVec::<u64, { MAX_ARGS + MAX_ENVIRONMENT + 5 }>::new();
    let mut at = strings;
    words.push(count_strings(arguments) as u64);
    for part in [arguments, environment] {
        for string in part.split_inclusive(|&byte| byte == 0) {
            words.push(at.get());
            at += string.len() as u64;
        }
        words.push(0);
    }
    // AT_NULL.
    words.extend([0, 0]);
    let stack = (strings - size_of_val(words.as_slice()) as u64).align_down(16);
    let fits = "the stack has room for all strings";
    fill(&new.process.space, strings, arguments).expect(fits);
    fill(&new.process.space, strings + arguments.len() as u64, environment).expect(fits);
    fill(&new.process.space, stack, words.as_bytes()).expect(fits);
    new.thread.context = Context::new(entry, stack);
    Ok(())
}
