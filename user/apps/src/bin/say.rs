//! `say TEXT…`: writes a line to AnT's serial console, then what has come from there to standard
//! output.
#![no_std]
#![no_main]

use ant_abi::Error;
use ant_api_name::Name;
use ant_api_serial as serial;
use ant_rt::{Args, eprintln, io};
use core::fmt::Write;

ant_rt::program!(main);

fn main(args: Args) -> i32 {
    if args.len() < 2 {
        eprintln!("usage: say TEXT...");
        return 2;
    }
    match say(args) {
        Ok(heard) => i32::from(!heard),
        Err(error) => {
            eprintln!("say: {error:?}");
            1
        }
    }
}

/// Whether what has come could be printed.
fn say(args: Args) -> Result<bool, Error> {
    let line = ant_api_name::lookup(Name::new(serial::NAME)?)?;
    let mut text = [0; serial::LENT_MAX];
    // At once, so that nothing of others comes in between.
    let len = join(args, &mut text);
    serial::write(line, &text[..len])?;
    let mut out = io::Writer::new(1);
    let mut printed = Ok(());
    loop {
        let heard = serial::read(line)?;
        if heard.as_slice().is_empty() {
            return Ok(printed.and_then(|()| out.flush()).is_ok());
        }
        let text = str::from_utf8(heard.as_slice()).unwrap_or("?");
        printed = printed.and_then(|()| out.write_str(text));
    }
}

/// The arguments with blanks between them, and the end of a line; how many bytes they are. What does
/// not fit is cut, but arguments have no more than 3.5 KiB.
fn join(args: Args, text: &mut [u8]) -> usize {
    let words = (1..args.len()).filter_map(|index| args.get(index)).enumerate();
    let words = words.flat_map(|(index, word)| {
        let blank: &[u8] = if index > 0 { b" " } else { b"" };
        blank.iter().chain(word.to_bytes())
    });
    let bytes = words.chain(b"\r\n");
    bytes.zip(text).map(|(byte, place)| *place = *byte).count()
}
