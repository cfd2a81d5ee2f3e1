//! What a guest makes the host's log say.

use std::collections::HashSet;

/// The lines that a guest has caused. One that keeps asking for what it does not get
/// fills no log: a line appears once, and of different lines there is a limit too.
#[derive(Default)]
pub(super) struct LogDedup(HashSet<String>);

/// What is to be done about a line.
pub(super) enum LogDecision {
    /// It has been said, or enough has.
    Nothing,
    Say,
    /// After it the log says that there will be no more.
    SayAsLast,
}

impl LogDedup {
    /// How many different lines there may be.
    pub(super) const MOST: usize = 100;

    pub(super) fn add(&mut self, line: &str) -> LogDecision {
        if self.0.len() == Self::MOST || !self.0.insert(line.into()) {
            return LogDecision::Nothing;
        }
        match self.0.len() {
            Self::MOST => LogDecision::SayAsLast,
            _ => LogDecision::Say,
        }
    }
}
