//! Standard output and standard error, whose readers may be gone or asleep.

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// How to print what was found.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Writes a text. That nobody reads it is no error.
pub fn write(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Says something on standard error, on the way to the end of the process. If nobody
/// reads it, that end comes all the same.
pub fn tell(text: &str) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let text: Arc<str> = visible(text).into();
    let (done, is_done) = mpsc::channel();
    let said = text.clone();
    let say = move || {
        let _ = io::stderr().write_all(said.as_bytes());
        let _ = done.send(());
    };
    match std::thread::Builder::new().spawn(say) {
        Ok(_) => {
            let _ = is_done.recv_timeout(PATIENCE);
        }
        // As where the next process goes into another namespace: no thread may.
        Err(_) => {
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }
}

/// Says something on standard error while the guest runs. It never waits for a reader: if
/// nobody has read a lot of what was said before, this is left out.
pub fn mention(text: &str) {
    const UNREAD: usize = 64;
    static LINES: LazyLock<Option<SyncSender<String>>> = LazyLock::new(|| {
        let (lines, unread) = mpsc::sync_channel::<String>(UNREAD);
        let say = move || {
            for text in unread {
                let _ = io::stderr().write_all(text.as_bytes());
            }
        };
        let writer = std::thread::Builder::new().spawn(say);
        writer.is_ok().then_some(lines)
    });
    if let Some(lines) = &*LINES {
        let _ = lines.try_send(visible(text));
    }
}

/// A text in which nothing deceives a terminal: a guest has chosen the names of its
/// functions and imports, which errors and traps speak of.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '\n' | '\t') || !deceives(character) {
            shown.push(character);
        } else {
            let _ = write!(shown, "{}", character.escape_unicode());
        }
    }
    shown
}

/// A value as lines of JSON in which nothing deceives a terminal.
pub fn json(value: &impl Serialize) -> Result<String> {
    Ok(escape_json(&serde_json::to_string_pretty(value)?) + "\n")
}

/// JSON that means the same, and in which nothing deceives a terminal.
pub fn escape_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if character != '\n' && deceives(character) {
            // All of them are characters of one unit of UTF-16, and inside of strings.
            let _ = write!(shown, "\\u{:04x}", character as u32);
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a character moves the cursor, changes colours, or turns text around.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A number of bytes for people, to the tenth of a unit.
pub fn rounded(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((word, shift)) => format!("{:.1} {word}", bytes as f64 / (1_u64 << shift) as f64),
        None => format!("{} bytes", bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_when_nothing_in_it_deceives() {
        let text = "a\u{7f}\u{9b}2J\u{202e} é 🦀 \n\u{1b}";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let escaped = escape_json(&json);
        assert!(
            !escaped
                .chars()
                .any(|shown| shown != '\n' && deceives(shown)),
            "{escaped}"
        );
        assert_eq!(
            serde_json::from_str::<Vec<String>>(&escaped).unwrap(),
            [text]
        );
    }

    #[test]
    fn sizes_are_rounded() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536 << 10, "1.5 MiB"),
            (u64::MAX, "17179869184.0 GiB"),
        ] {
            assert_eq!(rounded(bytes), text);
        }
    }

    #[test]
    fn what_deceives_a_terminal_is_made_visible() {
        let text = "a\n\tb \u{1b}[31m \u{7f} \u{9b}2J \u{202e}txt \u{2066} é 🦀 \r";
        assert_eq!(
            visible(text),
            "a\n\tb \\u{1b}[31m \\u{7f} \\u{9b}2J \\u{202e}txt \\u{2066} é 🦀 \\u{d}"
        );
    }
}
