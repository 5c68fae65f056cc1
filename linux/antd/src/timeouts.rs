//! How long AnT may take to respond.

use std::time::Duration;

/// `init`, to a request; a CPU, to leave its kernel or to count a doorbell.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// `init`, to a request for which a server has to start first.
pub const SERVER_TIMEOUT: Duration = Duration::from_secs(10);
