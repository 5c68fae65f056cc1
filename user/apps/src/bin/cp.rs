//! `cp FROM TO`: copies a file.
#![no_std]
#![no_main]

use ant_rt::linux::{self, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY};
use ant_rt::{Args, eprintln};
use core::ffi::CStr;

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    let (Some(from), Some(to), None) = (args.get(1), args.get(2), args.get(3)) else {
        eprintln!("usage: cp FROM TO");
        return 2;
    };
    match copy(from, to) {
        Ok(()) => 0,
        Err((path, error)) => {
            eprintln!("cp: {}: {error}", path.to_str().unwrap_or("?"));
            1
        }
    }
}

fn copy<'a>(from: &'a CStr, to: &'a CStr) -> Result<(), (&'a CStr, linux::Errno)> {
    let source = linux::open(from, O_RDONLY, 0).map_err(|error| (from, error))?;
    let target = linux::open(to, O_WRONLY | O_CREAT | O_TRUNC, 0o666);
    let target = target.map_err(|error| (to, error))?;
    let mut buffer = [0; 4096];
    loop {
        let len = linux::read(source, &mut buffer).map_err(|error| (from, error))?;
        if len == 0 {
            break;
        }
        linux::write_all(target, &buffer[..len]).map_err(|error| (to, error))?;
    }
    linux::close(source).map_err(|error| (from, error))?;
    linux::close(target).map_err(|error| (to, error))
}
