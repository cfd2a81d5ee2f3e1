//! Texts that are nearly names and grants.

use arbitrary::{Arbitrary, Result, Unstructured};

/// What names, patterns and grants are made of, and what they must not have.
const PIECES: [&str; 32] = [
    "/",
    "/",
    "/",
    "a",
    "a",
    "b",
    ".",
    "-",
    "_",
    "*",
    ",",
    "::",
    ":",
    "=",
    "sem.",
    "sem:",
    "shm:",
    "mq:",
    "both",
    "recv",
    "use",
    "rw",
    "create",
    "own",
    "map",
    "keep",
    "max=2",
    "max-size=4KiB",
    "\0",
    "\n",
    "é",
    "..",
];

/// A short text of such pieces, and rarely of any character.
#[derive(Debug)]
pub struct Text(pub String);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut text = String::new();
        for _ in 0..u.int_in_range(0..=9)? {
            match u.int_in_range(0..=35_u8)? {
                32 => text.push(u.arbitrary()?),
                // About as long as a name may be.
                33 => text.push_str(&"x".repeat(u.int_in_range(240..=260)?)),
                34 => text.push_str(u.arbitrary()?),
                35 => text.push_str(&u.arbitrary::<u64>()?.to_string()),
                piece => text.push_str(PIECES[usize::from(piece)]),
            }
        }
        Ok(Self(text))
    }
}

/// A text that starts as a name does, every other one so short that it meets others.
#[derive(Debug)]
pub struct NameLike(pub String);

impl<'a> Arbitrary<'a> for NameLike {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.arbitrary()? {
            return Self::short(u);
        }
        let Text(text) = u.arbitrary()?;
        Ok(Self(match u.ratio(7, 8)? {
            true => format!("/{}", text.trim_start_matches('/')),
            false => text,
        }))
    }
}

impl NameLike {
    fn short(u: &mut Unstructured<'_>) -> Result<Self> {
        let mut text = String::from("/a");
        for _ in 0..u.int_in_range(0..=3)? {
            text.push(*u.choose(&['a', '.', '-'])?);
        }
        if u.arbitrary()? {
            text.push_str(".*");
        }
        Ok(Self(text))
    }
}
