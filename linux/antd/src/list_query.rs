//! Queries for AnT's processes and servers, answered by `init` piece by piece; and the restart and
//! replacement of a server, which begin with such a query.

use ant_abi::control::{SPAWN_BYTES, ServerInfo};
use ant_abi::syscall::ProcessInfo;
use zerocopy::FromBytes;

use crate::ids::ClientId;
use crate::text::printable;

/// What a query is for.
#[derive(Debug)]
pub enum Purpose {
    /// To list the processes.
    Processes,
    /// To list the servers.
    Servers,
    /// To restart the server of this name.
    Restart(String),
    /// To replace a server.
    Replace(Upload),
}

/// A query under way.
#[derive(Debug)]
pub struct ListQuery {
    /// The client that gets the result.
    pub client: ClientId,
    /// Its user.
    pub user: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// The processes that have arrived.
    pub processes: Vec<ProcessInfo>,
}

/// A program on its way to `init`, which gets it in pieces, one after the other.
#[derive(Debug)]
pub struct Upload {
    /// The server that it replaces.
    pub server: String,
    program: Vec<u8>,
    sent: usize,
}

impl Upload {
    /// Nothing is sent yet.
    #[must_use]
    pub fn new(server: String, program: Vec<u8>) -> Self {
        Self { server, program, sent: 0 }
    }

    /// Bytes of the program.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.program.len() as u32
    }

    /// The next piece and where it belongs; `None` when all is sent.
    pub fn next_piece(&mut self) -> Option<(u32, Vec<u8>)> {
        let from = self.sent;
        let to = self.program.len().min(from + SPAWN_BYTES);
        self.sent = to;
        (from < to).then(|| (from as u32, self.program[from..to].to_vec()))
    }
}

/// The whole records in `bytes`, at most `most`.
pub fn records<T: FromBytes>(bytes: &[u8], most: usize) -> Vec<T> {
    let whole = bytes.chunks_exact(size_of::<T>()).take(most);
    whole.filter_map(|bytes| T::read_from_bytes(bytes).ok()).collect()
}

/// Name of a server.
#[must_use]
pub fn server_name(server: &ServerInfo) -> String {
    printable(&server.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_goes_in_pieces_without_gaps() {
        let program: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        let mut upload = Upload::new("serial".into(), program.clone());
        assert_eq!(upload.len(), 10_000);
        let mut got = Vec::new();
        while let Some((from, piece)) = upload.next_piece() {
            assert_eq!(from as usize, got.len());
            assert!(!piece.is_empty() && piece.len() <= SPAWN_BYTES);
            got.extend(piece);
        }
        assert_eq!(got, program);
    }
}
