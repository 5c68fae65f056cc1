//! `upcase NAME TO`: a stage in the middle of a pipeline. Turns letters into capitals in the pages
//! that it is handed, and hands them to the stage with the name TO.
#![no_std]
#![no_main]

use ant_api_name::Name;
use ant_api_pipe::{self as pipe, Stage};
use ant_rt::{Args, eprintln, linux, println};

ant_rt::program!(main);

/// How long the next stage may take to come.
const WAIT_MS: u64 = 10_000;

fn main(args: Args) -> i32 {
    let name = |index| args.text(index).and_then(|text| Name::new(text).ok());
    let (Some(own), Some(to), None) = (name(1), name(2), args.get(3)) else {
        eprintln!("usage: upcase NAME TO");
        return 2;
    };
    match pass_on(own, to) {
        Ok(bytes) => i32::from(!println!("upcase: {bytes} bytes")),
        Err(error) => {
            eprintln!("upcase: {error}");
            1
        }
    }
}

/// How many bytes it was.
fn pass_on(own: Name, to: Name) -> linux::Result<u64> {
    let mut stage = Stage::open(own)?;
    let next = ant_api_name::wait_for(to, WAIT_MS)?;
    let mut bytes = 0;
    while let Some((mut pages, len)) = stage.take()? {
        pages.as_mut_slice()[..len].make_ascii_uppercase();
        pipe::push(next, pages, len)?;
        bytes += len as u64;
    }
    pipe::end(next)?;
    Ok(bytes)
}
