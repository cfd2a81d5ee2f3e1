//! What the programs write, line by line, each with its program's name in front.

use crate::output::visible;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::JoinHandle;

/// Longer lines are cut in pieces.
const LONGEST: usize = 64 << 10;

/// So many lines may wait for a reader before nothing more is read from the programs.
const MANY: usize = 256;

/// Where a line goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Output,
    Error,
}

/// The part of a line that has been read.
#[derive(Default)]
pub struct Partial(Vec<u8>);

impl Partial {
    /// Adds what was read, and gives each line that is whole.
    pub fn add(&mut self, bytes: &[u8], mut line: impl FnMut(Vec<u8>)) {
        for byte in bytes {
            match byte {
                b'\n' => line(std::mem::take(&mut self.0)),
                _ => self.0.push(*byte),
            }
            if self.0.len() >= LONGEST {
                line(std::mem::take(&mut self.0));
            }
        }
    }

    /// A last line without its end.
    pub fn rest(&mut self) -> Option<Vec<u8>> {
        let rest = std::mem::take(&mut self.0);
        (!rest.is_empty()).then_some(rest)
    }
}

/// Writes lines on a thread of its own: whoever reads them may be asleep.
pub struct Writer {
    unsent: VecDeque<(Stream, Vec<u8>)>,
    lines: Option<SyncSender<(Stream, Vec<u8>)>>,
    thread: JoinHandle<()>,
    width: usize,
    terminal: [bool; 2],
}

impl Writer {
    /// `width` is that of the longest name.
    pub fn start(width: usize) -> io::Result<Self> {
        let (lines, unread) = mpsc::sync_channel::<(Stream, Vec<u8>)>(MANY);
        let write = move || {
            for (stream, line) in unread {
                // That nobody reads is no error.
                let _ = match stream {
                    Stream::Output => io::stdout().write_all(&line),
                    Stream::Error => io::stderr().write_all(&line),
                };
            }
        };
        Ok(Self {
            unsent: VecDeque::new(),
            lines: Some(lines),
            thread: std::thread::Builder::new().spawn(write)?,
            width,
            terminal: [io::stdout().is_terminal(), io::stderr().is_terminal()],
        })
    }

    /// Adds a line of a program. What a guest writes is not to deceive a terminal: it could
    /// look like a line of another program.
    pub fn line(&mut self, stream: Stream, name: &str, color: usize, guest: bool, text: &[u8]) {
        const COLORS: [u8; 6] = [36, 33, 32, 35, 34, 31];
        let terminal = self.terminal[stream as usize];
        let width = self.width;
        let mut line = match terminal {
            true => {
                let color = COLORS[color % COLORS.len()];
                format!("\x1b[{color}m{name:width$} |\x1b[0m ")
            }
            false => format!("{name:width$} | "),
        }
        .into_bytes();
        match terminal && guest {
            true => line.extend(visible(&String::from_utf8_lossy(text)).bytes()),
            false => line.extend(text),
        }
        line.push(b'\n');
        self.unsent.push_back((stream, line));
        self.send();
    }

    /// Adds a line of this command.
    pub fn say(&mut self, text: &str) {
        let line = format!("posix-ipc: {}\n", visible(text));
        self.unsent.push_back((Stream::Error, line.into_bytes()));
        self.send();
    }

    /// Whether more may be added without end.
    pub fn has_room(&mut self) -> bool {
        self.send();
        self.unsent.len() < MANY
    }

    fn send(&mut self) {
        while let Some(line) = self.unsent.pop_front() {
            let sent = self.lines.as_ref().map(|lines| lines.try_send(line));
            if let Some(Err(TrySendError::Full(line))) = sent {
                self.unsent.push_front(line);
                return;
            }
        }
    }

    /// Whether everything is written. Nothing may be added any more.
    pub fn is_done(&mut self) -> bool {
        self.send();
        if self.unsent.is_empty() {
            self.lines = None;
        }
        self.thread.is_finished()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_of_a_bounded_length() {
        let mut partial = Partial::default();
        let mut lines = Vec::new();
        partial.add(b"a\n\nb", |line| lines.push(line));
        partial.add(b"c\nd", |line| lines.push(line));
        assert_eq!(lines, [&b"a"[..], b"", b"bc"]);
        assert_eq!(partial.rest(), Some(b"d".to_vec()));
        assert_eq!(partial.rest(), None);
        lines.clear();
        partial.add(&vec![b'x'; LONGEST + 1], |line| lines.push(line));
        assert_eq!(lines[0].len(), LONGEST);
        assert_eq!(partial.rest(), Some(b"x".to_vec()));
    }
}
