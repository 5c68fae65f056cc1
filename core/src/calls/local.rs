//! Calls that a proxy refuses.

/// Numbers from here on are refused: Linux gives them another meaning (the x32 interface, numbers
/// whose upper half it ignores) or none.
const END: u64 = 512;

/// Whether a proxy must refuse this number, with `-ENOSYS`: the call would change the proxy itself
/// rather than do something for the program.
///
/// An AP process fills its own LCA, so it can ask for any number.
#[must_use]
pub fn is_local(nr: u64) -> bool {
    let _ = nr;
    nr >= END
}
