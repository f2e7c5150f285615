//! What was read and not yet taken.

use crate::outbound::HEAD_LIMIT;

/// Bytes that it begins with and returns to; most answers are smaller.
const USUAL: usize = 2 * 1024;

/// Bytes in memory that is used again. It never holds more than [`HEAD_LIMIT`].
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    begin: usize,
    end: usize,
    /// Whether the room was filled whole: there may be much to come.
    filled: bool,
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer { memory: vec![0; USUAL], begin: 0, end: 0, filled: false }
    }
}

impl Buffer {
    /// What is there.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.begin..self.end).unwrap_or_default()
    }

    /// Room for what is read next. Empty only if [`HEAD_LIMIT`] bytes wait to be taken.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.end == self.memory.len() && self.begin > 0 {
            self.memory.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        if std::mem::take(&mut self.filled) && self.memory.len() < HEAD_LIMIT {
            self.memory.resize((2 * self.memory.len()).min(HEAD_LIMIT), 0);
        }
        self.memory.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes of the room were filled.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = self.memory.len().min(self.end + count);
        self.filled = self.end == self.memory.len();
    }

    /// Forgets bytes at the beginning.
    pub(super) fn consume(&mut self, count: usize) {
        self.begin = self.end.min(self.begin + count);
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
    }

    /// Gives back memory that few answers need.
    pub(super) fn rest(&mut self) {
        if self.begin == self.end && self.memory.len() > USUAL {
            self.memory.truncate(USUAL);
            self.memory.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_limit_and_shrinks_at_rest() {
        let mut buffer = Buffer::default();
        let mut put = 0;
        loop {
            let room = buffer.room();
            if room.is_empty() {
                break;
            }
            room[0] = u8::try_from(put % 251).unwrap();
            put += 1;
            buffer.filled(1);
        }
        assert_eq!((put, buffer.bytes().len()), (HEAD_LIMIT, HEAD_LIMIT));
        buffer.consume(HEAD_LIMIT - 3);
        assert_eq!(buffer.bytes().len(), 3);
        let last = buffer.bytes().to_vec();
        assert_eq!(buffer.room().len(), HEAD_LIMIT - 3);
        assert_eq!(buffer.bytes(), last);
        buffer.rest();
        assert_eq!(buffer.bytes(), last);
        buffer.consume(10);
        buffer.rest();
        assert_eq!((buffer.bytes().len(), buffer.room().len()), (0, USUAL));
        buffer.filled(USUAL);
        buffer.consume(USUAL);
        assert_eq!(buffer.room().len(), 2 * USUAL);
        buffer.filled(1);
        buffer.consume(1);
        assert_eq!(buffer.room().len(), 2 * USUAL);
    }
}
