//! Any bytes as a receiver's answer, whole and in pieces of one size: they mean the same.

use postrider::{clock::SystemClock, outbound::decode_answer};

pub fn run(data: &[u8]) {
    let Some((size, answer)) = data.split_first() else { return };
    let whole = decode_answer([answer], &SystemClock);
    let pieces = decode_answer(answer.chunks(usize::from(*size).max(1)), &SystemClock);
    // A date in `retry-after` is told from now, but neither status nor body depends on it.
    assert_eq!(whole, pieces);
}
