//! Standard output, whose reader may have seen enough before the end.

use anyhow::Result;
use std::io::{self, ErrorKind, Write};

/// Writes a text. That nobody reads it is no error.
pub fn write(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
