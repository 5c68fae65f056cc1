//! Input that no client has read yet, kept in state pages, with replay of the last read.
//!
//! A client numbers its reads. If the server ends before its reply arrives, the client repeats the read
//! with the same number and gets the same bytes, so a kill at any instruction loses no byte and delivers
//! none twice. That holds for the last read: the next client's read drops the bytes of the one before.
//!
//! Neighbours: [`persist`](super), which says what a kill leaves. Deliberately absent: devices,
//! messages, waiting.

use super::PersistentWords;

/// Bytes that are kept; more are lost, as on any line.
pub const INPUT_MAX: usize = 256;
/// Bytes that one reading takes at most.
pub const TAKEN_MAX: usize = 24;

/// [`MARK_VALUE`], once the other words are an input's: another program may have had the pages.
const MARK: usize = 0;
/// What was read, see [`Taken`]; stored when a reading is over.
const TAKEN: usize = 1;
/// Bytes that have come since the beginning; stored when a byte is in its place.
const COME: usize = 2;
/// The number of the last reading, and of the one before or the one to come.
const NUMBERS: [usize; 2] = [3, 4];
/// Then the bytes, one in each word: what is kept, and what the last reading had.
const BYTES: usize = 5;
const PLACES: usize = INPUT_MAX + TAKEN_MAX;
const MARK_VALUE: u64 = u64::from_le_bytes(*b"input 1\0");

/// Words that an [`ReplayBuffer`] needs.
pub const WORDS: usize = BYTES + PLACES;

/// What was read, in one word, so that a reading happens as a whole or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    /// Bytes that were read since the beginning.
    count: u64,
    /// How many of them the last reading had.
    last: usize,
    /// Which of [`NUMBERS`] is the last reading's.
    which: usize,
}

impl Taken {
    fn encode(self) -> u64 {
        self.count << 16 | (self.which as u64) << 8 | self.last as u64
    }

    fn decode(word: u64) -> Self {
        let byte = |at: u32| usize::from((word >> at) as u8);
        Self { count: word >> 16, last: byte(0), which: byte(8) & 1 }
    }
}

/// Bytes in the order in which they have come.
pub struct ReplayBuffer<W: PersistentWords>(W);

impl<W: PersistentWords> ReplayBuffer<W> {
    /// What the predecessor has left; nothing, if that was no input. There are [`WORDS`] words.
    pub fn restore(words: W) -> Self {
        let input = Self(words);
        if !input.makes_sense() {
            input.clear();
        }
        input
    }

    /// Keeps a byte; false if there is no room for it.
    pub fn push(&self, byte: u8) -> bool {
        let come = self.0.load(COME);
        if come - self.taken().count >= INPUT_MAX as u64 {
            return false;
        }
        self.0.store(place(come), byte.into());
        self.0.store(COME, come + 1);
        true
    }

    /// The reading with this number, which is not 0: the oldest bytes, at most [`TAKEN_MAX`], into
    /// `out`; how many they are. The last reading once more, if it had this number.
    pub fn take(&self, number: u64, out: &mut [u8; TAKEN_MAX]) -> usize {
        let taken = self.taken();
        if number == self.0.load(NUMBERS[taken.which]) {
            return self.copy(taken.count - taken.last as u64, taken.last, out);
        }
        let kept = self.0.load(COME) - taken.count;
        let len = kept.min(TAKEN_MAX as u64);
        let len = self.copy(taken.count, len as usize, out);
        // That there was nothing may change until the reader asks again.
        if len > 0 {
            let which = 1 - taken.which;
            self.0.store(NUMBERS[which], number);
            let count = taken.count + len as u64;
            self.0.store(TAKEN, Taken { count, last: len, which }.encode());
        }
        len
    }

    fn copy(&self, from: u64, len: usize, out: &mut [u8; TAKEN_MAX]) -> usize {
        for (at, byte) in (from..).zip(&mut out[..len]) {
            *byte = self.0.load(place(at)) as u8;
        }
        len
    }

    fn taken(&self) -> Taken {
        Taken::decode(self.0.load(TAKEN))
    }

    fn makes_sense(&self) -> bool {
        let taken = self.taken();
        let kept = self.0.load(COME).checked_sub(taken.count);
        self.0.load(MARK) == MARK_VALUE
            && kept.is_some_and(|kept| kept <= INPUT_MAX as u64)
            && taken.last <= TAKEN_MAX
            && taken.last as u64 <= taken.count
    }

    fn clear(&self) {
        self.0.store(MARK, 0);
        for word in [TAKEN, COME].into_iter().chain(NUMBERS) {
            self.0.store(word, 0);
        }
        self.0.store(MARK, MARK_VALUE);
    }
}

/// Where byte number `at` is. Its place is another's when the reading that had it is not the last.
fn place(at: u64) -> usize {
    BYTES + (at % PLACES as u64) as usize
}

#[cfg(test)]
mod tests;
