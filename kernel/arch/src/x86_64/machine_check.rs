//! Machine checks: the registers; what they mean is `ant_logic::machine_check`'s.

use ant_logic::machine_check;
use x86_64::registers::model_specific::Msr;

const IA32_MCG_CAP: u32 = 0x179;
const IA32_MCG_STATUS: u32 = 0x17a;
/// `IA32_MCi_STATUS` of the first bank; the next one's is four further.
const IA32_MC0_STATUS: u32 = 0x401;
const NEXT_BANK: u32 = 4;

/// Ends the machine check that this CPU is at, so that the next one is no reset of the machine. Whether the
/// CPU can go on where it was interrupted.
pub(super) fn take() -> bool {
    // SAFETY: a processor that has raised a machine check has these registers.
    unsafe {
        let capabilities = Msr::new(IA32_MCG_CAP).read();
        let status = Msr::new(IA32_MCG_STATUS).read();
        let bank = |n| Msr::new(IA32_MC0_STATUS + n * NEXT_BANK).read();
        let banks = (0..machine_check::banks(capabilities)).map(bank);
        let goes_on = machine_check::can_go_on(capabilities, status, banks);
        Msr::new(IA32_MCG_STATUS).write(0);
        goes_on
    }
}
