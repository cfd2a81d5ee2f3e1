use std::time::Duration;

use crate::{Error, ErrorKind};

/// A timeout as the host takes it: nanoseconds, as many as fit.
pub(crate) fn nanoseconds(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)
}

/// Makes one error of two: a timeout of zero is a call that does not wait, and the host
/// says so with `busy`. Whoever computes what is left of a deadline should not have to
/// look for both.
pub(crate) fn timed_out(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Busy => error.with_kind(ErrorKind::TimedOut),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_saturate() {
        assert_eq!(nanoseconds(Duration::ZERO), 0);
        assert_eq!(nanoseconds(Duration::from_nanos(1)), 1);
        assert_eq!(nanoseconds(Duration::from_secs(3)), 3_000_000_000);
        assert_eq!(nanoseconds(Duration::from_nanos(u64::MAX)), u64::MAX);
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
    }

    #[test]
    fn only_busy_becomes_timed_out() {
        assert_eq!(
            timed_out(ErrorKind::Busy.into()).kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(
            timed_out(ErrorKind::TimedOut.into()).kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(
            timed_out(ErrorKind::Cancelled.into()).kind(),
            ErrorKind::Cancelled
        );
    }
}
