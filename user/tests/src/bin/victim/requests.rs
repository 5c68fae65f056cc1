//! What the server can be asked for, by the names that people type.

/// In a message, a request's number is its place here plus 1.
pub const REQUESTS: [&str; 23] = [
    // How often this was asked.
    "count",
    // Lets so many milliseconds pass.
    "sleep",
    "spin",
    "fault",
    "exit",
    // Has the helper wait for its gate.
    "pass",
    // The same, with a page that is lent to the helper.
    "pass-lent",
    // Asks a server that is not there how often it was asked.
    "pass-absent",
    // Asks the helper how often it was asked.
    "relay",
    // The same of a server that it was given a handle to, if the manifest says so.
    "use",
    // Keeps the pages that come with it: how many.
    "keep",
    // Keeps the pages that are shared with it, and raises their first word: what it is then.
    "share",
    // Writes into lent pages, now and after so many milliseconds.
    "borrow",
    // Reads lent pages: their first byte.
    "look",
    // Takes the next requests before it replies to this one.
    "aside",
    // Replies to those that were put aside: how many still waited, and how many did not.
    "release",
    // How many messages were sent, and which bits raised.
    "told",
    // Takes all the pages that it gets: how many, and the number of the error.
    "take",
    // Takes pages and gives them back, for ever.
    "churn",
    // What is in device memory at a physical address.
    "peek",
    // What is in an I/O port.
    "port",
    // From now on faults before it is ready, so many times.
    "stumble",
    // The same, but hangs.
    "hang",
];

/// Number of a request of a program only: it replies when its standard input has something.
pub const GATE: u64 = 99;

/// The number of a request.
pub fn number(name: &str) -> u64 {
    let place = REQUESTS.iter().position(|request| *request == name);
    place.map_or(GATE, |place| place as u64 + 1)
}

/// The name of a request.
pub fn name(number: u64) -> Option<&'static str> {
    REQUESTS.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}
