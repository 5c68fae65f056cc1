//! Whether a CPU can go on after a machine check (SDM vol. 3, chapter 16).
//!
//! Intel's processors send a machine check to all CPUs of the machine, whichever the error is about, so most
//! of those that come to AnT are Linux's affair.
//!
//! Deliberately absent: reading and writing the registers, and what becomes of the error: the banks stay
//! as they are, for Linux when it has the CPU again.

/// `IA32_MCG_CAP`: how many banks there are.
const BANKS: u64 = 0xff;
/// `IA32_MCG_CAP`: the banks say which errors ask for an action.
const TELLS_RECOVERABLE: u64 = 1 << 24;
/// `IA32_MCG_STATUS`: what was interrupted can be gone back to.
const RETURN_IS_VALID: u64 = 1 << 0;
/// `IA32_MCi_STATUS`: the bank has an error.
const VALID: u64 = 1 << 63;
/// The error was not corrected.
const UNCORRECTED: u64 = 1 << 61;
/// The error was to be signalled. Without this, another bank or CPU is meant.
const ENABLED: u64 = 1 << 60;
/// The state of the processor may be corrupt.
const CONTEXT_CORRUPT: u64 = 1 << 57;
/// What was interrupted must not go on before something has been done about the error.
const ACTION_REQUIRED: u64 = 1 << 55;

/// How many banks a CPU has with this `IA32_MCG_CAP`.
#[must_use]
pub const fn banks(capabilities: u64) -> u32 {
    (capabilities & BANKS) as u32
}

/// Whether a CPU can go on, with this `IA32_MCG_CAP`, this `IA32_MCG_STATUS`, and the `IA32_MCi_STATUS`
/// of each of its banks.
pub fn can_go_on(capabilities: u64, status: u64, mut banks: impl Iterator<Item = u64>) -> bool {
    let fatal = if capabilities & TELLS_RECOVERABLE != 0 {
        CONTEXT_CORRUPT | ACTION_REQUIRED
    } else {
        // Any error is.
        VALID
    };
    let is_fatal = |bank| {
        let signalled = VALID | UNCORRECTED | ENABLED;
        bank & signalled == signalled && bank & fatal != 0
    };
    status & RETURN_IS_VALID != 0 && !banks.any(is_fatal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten banks; recoverable errors are told.
    const CAPABLE: u64 = 0x0100_000a;
    const OLD: u64 = 0x0a;
    /// In progress, return is valid.
    const STATUS: u64 = 0b101;
    const ERROR: u64 = VALID | UNCORRECTED | ENABLED;

    #[test]
    fn an_error_of_another_cpu_is_not_this_ones() {
        assert_eq!(banks(CAPABLE), 10);
        for capabilities in [CAPABLE, OLD] {
            // None; a corrected one; what QEMU gives all CPUs but the one that an error is injected into.
            for bank in [0, UNCORRECTED | ENABLED, VALID | ENABLED, VALID | UNCORRECTED] {
                assert!(can_go_on(capabilities, STATUS, [0, bank, 0].into_iter()));
                assert!(!can_go_on(capabilities, STATUS & !RETURN_IS_VALID, [bank].into_iter()));
            }
        }
    }

    #[test]
    fn an_error_of_its_own_ends_it() {
        for bank in [ERROR | CONTEXT_CORRUPT, ERROR | ACTION_REQUIRED] {
            assert!(!can_go_on(CAPABLE, STATUS, [0, 0, bank].into_iter()));
        }
        assert!(!can_go_on(OLD, STATUS, [ERROR, 0].into_iter()));
    }

    #[test]
    fn an_error_that_asks_for_no_action_does_not() {
        // Found by the memory controller, for instance: all CPUs of the package see its bank.
        assert!(can_go_on(CAPABLE, STATUS, [0, ERROR | 1 << 56].into_iter()));
    }
}
