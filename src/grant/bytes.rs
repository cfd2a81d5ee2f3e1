//! Numbers of bytes as people write them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written as `4096`, `64KiB`, `16MiB` or `2GiB`.
///
/// ```
/// use wasmtime_posix_ipc::grant::Bytes;
///
/// assert_eq!("64KiB".parse(), Ok(Bytes(65536)));
/// assert_eq!(Bytes(65536).to_string(), "64KiB");
/// assert_eq!(Bytes(65537).to_string(), "65537");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// From large to small, for the shortest way to write a number.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl FromStr for Bytes {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(word, unit)| Some((text.strip_suffix(word)?, *unit)))
            .unwrap_or((text, 1));
        // `u64::from_str` would take a sign.
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BytesError { too_large: false });
        }
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .map(Self)
            .ok_or(BytesError { too_large: true })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit));
        match unit {
            Some((word, unit)) => f.pad(&format!("{}{word}", self.0 / unit)),
            None => f.pad(&self.0.to_string()),
        }
    }
}

/// Why a text is not a number of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytesError {
    too_large: bool,
}

impl fmt::Display for BytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.too_large {
            "a number of bytes must be less than 16777216TiB (2 to the power of 64)"
        } else {
            "a number of bytes is written as 4096, 64KiB, 16MiB or 2GiB"
        })
    }
}

impl std::error::Error for BytesError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_two_and_optional() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("1023", 1023),
            ("1KiB", 1024),
            ("16MiB", 16 << 20),
            ("2GiB", 2 << 30),
            ("17179869183GiB", 17_179_869_183 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!("2048KiB".parse(), Ok(Bytes(2 << 20)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "KiB", "-1", "+1", " 1", "1 KiB", "1kib", "1KB", "1k", "1.5MiB", "0x10", "1MiB1",
        ] {
            assert_eq!(
                text.parse::<Bytes>(),
                Err(BytesError { too_large: false }),
                "{text:?}"
            );
        }
        for text in [
            "18446744073709551616",
            "17179869184GiB",
            "99999999999999999999999KiB",
        ] {
            assert_eq!(
                text.parse::<Bytes>(),
                Err(BytesError { too_large: true }),
                "{text:?}"
            );
        }
    }
}
