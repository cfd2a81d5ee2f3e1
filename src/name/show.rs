//! How names appear in messages, logs and suggestions.
//!
//! A guest chooses the names that it asks for. What it asks must not break a log
//! line in two, pass for another part of the line, or run as a command in the
//! shell of whoever pastes a suggestion.

use std::fmt::{self, Write};

/// How many bytes of a text a message shows. Names fit; what is longer is a
/// mistake or an attack.
const SHOWN: usize = 300;

/// Whether a character can make a text look like something that it is not: it
/// controls the terminal, has no shape, or turns the writing around.
pub(crate) fn deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A name for a message: as it is if it is made of letters, digits and plain
/// punctuation, else in quotes with escapes.
pub(crate) fn shown(text: &str) -> impl fmt::Display + '_ {
    Shown {
        text,
        quote: !text.chars().all(plain) || text.is_empty() || text.len() > SHOWN,
    }
}

/// A text for a message, always in quotes.
pub(crate) fn quoted(text: &str) -> impl fmt::Display + '_ {
    Shown { text, quote: true }
}

fn plain(c: char) -> bool {
    c.is_alphanumeric() || "/._-+@%=:*".contains(c)
}

struct Shown<'a> {
    text: &'a str,
    quote: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.quote {
            return f.write_str(self.text);
        }
        let end = self.text.floor_char_boundary(SHOWN);
        f.write_char('"')?;
        for c in self.text[..end].chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if deceptive(c) => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')?;
        if end < self.text.len() {
            write!(f, "... ({} bytes)", self.text.len())?;
        }
        Ok(())
    }
}

/// A text as one word of a shell command.
pub(crate) fn shell(text: &str) -> impl fmt::Display + '_ {
    Shell(text)
}

struct Shell<'a>(&'a str);

impl fmt::Display for Shell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%=:,".contains(c);
        if self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "'{}'", self.0.replace('\'', r"'\''"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_names_are_shown_as_they_are() {
        for name in ["/jobs", "/a.b-c_d", "/größe", "/v1:2"] {
            assert_eq!(shown(name).to_string(), name);
            assert_eq!(quoted(name).to_string(), format!("\"{name}\""));
        }
    }

    #[test]
    fn what_could_deceive_is_quoted_and_escaped() {
        for (name, expected) in [
            ("", r#""""#),
            ("/a\nb", r#""/a\nb""#),
            ("/a\x1b[31m", r#""/a\u{1b}[31m""#),
            ("/a\u{202e}b", r#""/a\u{202e}b""#),
            ("/a\u{9b}b", r#""/a\u{9b}b""#),
            ("/a\\nb", r#""/a\\nb""#),
            ("/a\"", r#""/a\"""#),
            ("/a (send): not granted", r#""/a (send): not granted""#),
        ] {
            assert_eq!(shown(name).to_string(), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "é".repeat(100_000);
        let text = shown(&long).to_string();
        assert_eq!(text, format!("\"{}\"... (200000 bytes)", "é".repeat(150)));
    }

    #[test]
    fn a_suggestion_is_one_word_of_the_shell() {
        assert_eq!(shell("/jobs,recv,max=4").to_string(), "/jobs,recv,max=4");
        assert_eq!(shell("/a;reboot").to_string(), "'/a;reboot'");
        assert_eq!(shell("/$(x)'`y`").to_string(), r"'/$(x)'\''`y`'");
    }
}
