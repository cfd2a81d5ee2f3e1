//! Numbers of bytes as people write them.

use crate::name::show::quoted;
use std::fmt;
use std::str::FromStr;

/// A number of bytes, written as `64B`, `64KiB`, `16MiB` or `2GiB`. Only 0 needs no unit:
/// whoever writes 64 may think of any.
///
/// ```
/// use wasmtime_posix_ipc::grant::Bytes;
///
/// assert_eq!("64KiB".parse(), Ok(Bytes(65536)));
/// assert_eq!(Bytes(65536).to_string(), "64KiB");
/// assert_eq!(Bytes(65537).to_string(), "65537B");
/// assert_eq!(
///     "64".parse::<Bytes>().unwrap_err().to_string(),
///     "64 of what? write 64B, 64KiB, 64MiB or 64GiB",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// From large to small, for the shortest way to write a number.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl FromStr for Bytes {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let error = |problem| BytesError {
            text: text.into(),
            problem,
        };
        let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
        // `u64::from_str` would take a sign.
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error(Problem::NoSize));
        }
        let number = digits.parse::<u64>().ok();
        let unit = &text[digits.len()..];
        let unit = match UNITS.iter().find(|(word, _)| *word == unit) {
            Some((_, unit)) => *unit,
            None if unit.is_empty() && number == Some(0) => 1,
            None if unit.is_empty() && number.is_some() => return Err(error(Problem::NoUnit)),
            None if unit.is_empty() => return Err(error(Problem::TooLarge)),
            None => return Err(error(Problem::NoSize)),
        };
        number
            .and_then(|number| number.checked_mul(unit))
            .map(Self)
            .ok_or_else(|| error(Problem::TooLarge))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit));
        match unit {
            Some((word, unit)) => f.pad(&format!("{}{word}", self.0 / unit)),
            None => f.pad("0"),
        }
    }
}

/// Why a text is not a number of bytes. The message says what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytesError {
    text: String,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    NoSize,
    NoUnit,
    TooLarge,
}

impl fmt::Display for BytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match self.problem {
            Problem::NoUnit => write!(
                f,
                "{text} of what? write {text}B, {text}KiB, {text}MiB or {text}GiB"
            ),
            Problem::TooLarge => write!(
                f,
                "{} is too large: a number of bytes is less than 16777216TiB (2 to the power of 64)",
                quoted(text)
            ),
            Problem::NoSize => write!(
                f,
                "{} is not a size such as 64B, 64KiB, 16MiB or 2GiB",
                quoted(text)
            ),
        }
    }
}

impl std::error::Error for BytesError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Problem {
        text.parse::<Bytes>().unwrap_err().problem
    }

    #[test]
    fn units_are_powers_of_two() {
        for (text, bytes) in [
            ("0", 0),
            ("1B", 1),
            ("1023B", 1023),
            ("1KiB", 1024),
            ("16MiB", 16 << 20),
            ("2GiB", 2 << 30),
            ("17179869183GiB", 17_179_869_183 << 30),
            ("18446744073709551615B", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!("2048KiB".parse(), Ok(Bytes(2 << 20)));
        assert_eq!("0MiB".parse(), Ok(Bytes(0)));
        assert_eq!("00".parse(), Ok(Bytes(0)));
    }

    #[test]
    fn only_0_needs_no_unit() {
        for text in ["1", "64", "01", "18446744073709551615"] {
            assert_eq!(problem(text), Problem::NoUnit, "{text:?}");
        }
        assert_eq!(
            "64".parse::<Bytes>().unwrap_err().to_string(),
            "64 of what? write 64B, 64KiB, 64MiB or 64GiB"
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "B", "KiB", "-1", "+1", "+1B", " 1", "1 ", "1 KiB", "1kib", "1KB", "1k", "1b",
            "1.5MiB", "0x10", "0x", "1MiB1", "1MiBB", "é", "1é",
        ] {
            assert_eq!(problem(text), Problem::NoSize, "{text:?}");
        }
        for text in [
            "18446744073709551616",
            "18446744073709551616B",
            "17179869184GiB",
            "99999999999999999999999KiB",
        ] {
            assert_eq!(problem(text), Problem::TooLarge, "{text:?}");
        }
    }
}
