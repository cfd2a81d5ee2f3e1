//! The host's log: lines on standard error that start with the program's name.

use std::fmt;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// What is shown when `POSIX_IPC_LOG` does not say otherwise.
const SHOWN: LevelFilter = LevelFilter::WARN;

/// What this program and its library call themselves.
const OWN: [&str; 2] = ["posix_ipc", "wasmtime_posix_ipc"];

/// Starts the log. `POSIX_IPC_LOG` chooses what is shown, as in `debug` or
/// `posix_ipc::denied=off,warn`.
pub fn install() {
    let chosen = std::env::var("POSIX_IPC_LOG").ok();
    let filter = match chosen.as_deref().map(parse) {
        Some(Ok(filter)) => filter,
        Some(Err(error)) => {
            eprintln!("posix-ipc: ignoring POSIX_IPC_LOG: {error}");
            Targets::new().with_default(SHOWN)
        }
        None => Targets::new().with_default(SHOWN),
    };
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
}

/// A level alone is for what this program has to say. Others, such as wasmtime, are shown
/// when they are named.
fn parse(chosen: &str) -> Result<Targets, ParseError> {
    match chosen.parse::<LevelFilter>() {
        Ok(level) => Ok(Targets::new()
            .with_default(level.min(SHOWN))
            .with_targets(OWN.map(|own| (own, level)))),
        Err(_) => chosen.parse(),
    }
}

/// The message and nothing else.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut message = Message(String::new());
        event.record(&mut message);
        writeln!(writer, "posix-ipc: {}", message.0)
    }
}

struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_level_alone_is_for_this_program() {
        let shows = |chosen: &str, target, level| {
            let filter = parse(chosen).unwrap();
            filter.would_enable(target, &level)
        };
        for own in ["posix_ipc::denied", "wasmtime_posix_ipc::wait"] {
            assert!(shows("debug", own, Level::DEBUG));
            assert!(!shows("off", own, Level::ERROR));
        }
        assert!(!shows("trace", "wasmtime::runtime", Level::DEBUG));
        assert!(shows("trace", "wasmtime::runtime", Level::WARN));
        assert!(!shows("off", "wasmtime::runtime", Level::ERROR));
        assert!(shows("wasmtime=debug", "wasmtime::runtime", Level::DEBUG));
    }
}
