//! What Linux says that a call has returned.

/// Linux's number for a peer that does not keep to the protocol.
const EPROTO: i32 = linux_raw_sys::errno::EPROTO as i32;
/// Highest number of an error (Linux, `include/linux/err.h`).
const MAX_ERRNO: u64 = 4095;

/// The result of a call, or the number of Linux's error.
///
/// # Errors
///
/// Linux's; `EPROTO` for one that Linux does not have.
pub fn result(retval: i64) -> Result<u64, i32> {
    u64::try_from(retval).map_err(|_| match retval.unsigned_abs() {
        errno @ ..=MAX_ERRNO => errno as i32,
        _ => EPROTO,
    })
}

/// The result of a call that reads or writes at most `most` bytes: how many.
///
/// # Errors
///
/// As [`result`]; `EPROTO` also if it is more.
pub fn count(retval: i64, most: usize) -> Result<usize, i32> {
    let count = result(retval)?;
    usize::try_from(count).ok().filter(|&count| count <= most).ok_or(EPROTO)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_a_number_or_an_error() {
        for (retval, expected) in [
            (0, Ok(0)),
            (7, Ok(7)),
            (i64::MAX, Ok(i64::MAX as u64)),
            (-1, Err(1)),
            (-4095, Err(4095)),
            (-4096, Err(EPROTO)),
            (i64::MIN, Err(EPROTO)),
        ] {
            assert_eq!(result(retval), expected, "{retval}");
        }
    }

    #[test]
    fn no_more_is_read_than_there_was_room_for() {
        for (retval, expected) in [
            (0, Ok(0)),
            (100, Ok(100)),
            (101, Err(EPROTO)),
            (i64::MAX, Err(EPROTO)),
            (-11, Err(11)),
            (i64::MIN, Err(EPROTO)),
        ] {
            assert_eq!(count(retval, 100), expected, "{retval}");
        }
    }
}
