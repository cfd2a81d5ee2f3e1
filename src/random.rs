//! Names that nobody can guess.

use rand::seq::IndexedRandom;

/// So many lower-case letters and digits.
pub(crate) fn word(length: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    let letter = || char::from(*LETTERS.choose(&mut random).unwrap_or(&b'a'));
    std::iter::repeat_with(letter).take(length).collect()
}
