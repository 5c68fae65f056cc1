//! `drain NAME OUT`: the last stage of a pipeline. Writes what is in the pages that it is handed to
//! the file OUT.
#![no_std]
#![no_main]

use ant_api_name::Name;
use ant_api_pipe::Stage;
use ant_rt::linux::{self, O_CREAT, O_TRUNC, O_WRONLY};
use ant_rt::{Args, eprintln, println};
use core::ffi::CStr;

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    let own = args.text(1).and_then(|text| Name::new(text).ok());
    let (Some(own), Some(path), None) = (own, args.get(2), args.get(3)) else {
        eprintln!("usage: drain NAME OUT");
        return 2;
    };
    match drain(own, path) {
        Ok(bytes) => i32::from(!println!("drain: {bytes} bytes")),
        Err(error) => {
            eprintln!("drain: {error}");
            1
        }
    }
}

/// How many bytes it was.
fn drain(own: Name, path: &CStr) -> linux::Result<u64> {
    let fd = linux::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o666)?;
    let mut stage = Stage::open(own)?;
    let mut bytes = 0;
    while let Some((pages, len)) = stage.take()? {
        linux::write_all(fd, &pages.as_slice()[..len])?;
        bytes += len as u64;
    }
    linux::close(fd)?;
    Ok(bytes)
}
