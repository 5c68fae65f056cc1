//! `antctl bench`: hands over to `ant-bench`, which is installed beside this program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::Failure;

/// What `ant-bench` is called as, so that its messages name the command that was typed.
const TYPED: &str = "antctl bench";

/// Replaces this program by `ant-bench`.
///
/// # Errors
///
/// It could not be executed.
pub fn exec(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let program = std::env::current_exe()?.with_file_name("ant-bench");
    let error = Command::new(&program).arg0(TYPED).args(arguments).exec();
    Err(Failure::Refused(format!("cannot execute {}: {error}", program.display())))
}
