//! The host's log: lines on standard error that start with the program's name.

use std::fmt;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// What is shown when `POSIX_IPC_LOG` does not say otherwise.
const SHOWN: LevelFilter = LevelFilter::WARN;

/// Starts the log. `POSIX_IPC_LOG` chooses what is shown, as in `debug` or
/// `posix_ipc::denied=off,warn`.
pub fn install() {
    let chosen = std::env::var("POSIX_IPC_LOG").ok();
    let filter = match chosen.as_deref().map(str::parse::<Targets>) {
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
