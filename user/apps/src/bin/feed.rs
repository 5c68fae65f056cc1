//! `feed TO FILE…`: the first stage of a pipeline. Reads files into pages and hands them to the stage
//! with the name TO.
#![no_std]
#![no_main]

use ant_api_name::Name;
use ant_api_pipe as pipe;
use ant_rt::ica::Pages;
use ant_rt::ipc::Handle;
use ant_rt::linux::{self, O_RDONLY};
use ant_rt::{Args, eprintln, println};
use core::ffi::CStr;

ant_rt::program!(main);

/// Pages that are handed over at a time.
const PAGES: u32 = 4;
/// How long the next stage may take to come.
const WAIT_MS: u64 = 10_000;

fn main(args: Args) -> i32 {
    let (Some(to), Some(_)) = (args.text(1).and_then(|to| Name::new(to).ok()), args.get(2)) else {
        eprintln!("usage: feed TO FILE...");
        return 2;
    };
    match feed(to, args) {
        Ok(bytes) => i32::from(!println!("feed: {bytes} bytes")),
        Err((what, error)) => {
            eprintln!("feed: {what}: {error}");
            1
        }
    }
}

/// All files; how many bytes they were, or what went wrong.
fn feed(to: Name, args: Args) -> Result<u64, (&'static str, linux::Errno)> {
    let next = ant_api_name::wait_for(to, WAIT_MS);
    let next = next.map_err(|error| ("the next stage", error.into()))?;
    let mut bytes = 0;
    for path in (2..args.len()).filter_map(|index| args.get(index)) {
        let fed = feed_file(next, path);
        bytes += fed.map_err(|error| (path.to_str().unwrap_or("?"), error))?;
    }
    pipe::end(next).map_err(|error| ("the next stage", error.into()))?;
    Ok(bytes)
}

fn feed_file(next: Handle, path: &CStr) -> linux::Result<u64> {
    let fd = linux::open(path, O_RDONLY, 0)?;
    let mut bytes = 0;
    loop {
        let mut pages = Pages::alloc(PAGES)?;
        let len = fill(fd, pages.as_mut_slice())?;
        if len == 0 {
            break;
        }
        pipe::push(next, pages, len)?;
        bytes += len as u64;
    }
    linux::close(fd)?;
    Ok(bytes)
}

/// Reads until `out` is full or the file ends.
fn fill(fd: i32, out: &mut [u8]) -> linux::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match linux::read(fd, &mut out[filled..])? {
            0 => break,
            len => filled += len,
        }
    }
    Ok(filled)
}
