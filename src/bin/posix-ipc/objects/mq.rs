//! `posix-ipc mq`: message queues.

use super::{Deadline, Format, failed, message_queue, mode, timed_out};
use crate::manifest::parse_duration;
use crate::output;
use anyhow::{Context, Result, anyhow, bail};
use clap::Subcommand;
use nix::errno::Errno;
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_getattr, mq_open, mq_receive, mq_send};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;
use wasmtime_posix_ipc::grant::{Bytes, Name};

/// `MQ_PRIO_MAX` of Linux, less 1.
const GREATEST_PRIORITY: i64 = 32767;

/// Create a message queue of this machine, send to it and receive from it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc mq create /jobs --max-msgs 8 --max-msg-size 1KiB
  posix-ipc mq send /jobs 'resize 640x480' --priority 3
  convert-something | posix-ipc mq send /jobs
  job=$(posix-ipc mq recv /jobs --timeout 5s)
  posix-ipc mq recv /jobs --format json

JSON is one object with these members:
  priority            of the message
  size                its bytes
  text                the message, if it is UTF-8
  base64              the message, if it is not

The exit code is 124 if --timeout ended the wait, and 1 if anything failed, as when there
is no such queue. `posix-ipc rm mq:/jobs` removes it.")]
pub struct Args {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand)]
enum Operation {
    /// Create a queue, which must not exist
    Create {
        #[arg(value_parser = message_queue)]
        name: Name,
        /// How many messages it holds [default: as /proc/sys/fs/mqueue/msg_default says]
        #[arg(long, value_name = "N", requires = "max_msg_size")]
        max_msgs: Option<u32>,
        /// How many bytes a message may have
        #[arg(long, value_name = "SIZE", requires = "max_msgs")]
        max_msg_size: Option<Bytes>,
        /// Who may use it, in octal. The umask applies
        #[arg(long, default_value = "600", value_parser = mode)]
        mode: u32,
    },
    /// Send one message, and wait while the queue is full
    Send {
        #[arg(value_parser = message_queue)]
        name: Name,
        /// The message. Without it, all of standard input is one message
        #[arg(allow_hyphen_values = true)]
        message: Option<String>,
        /// Who receives gets the greatest first
        #[arg(long, value_name = "N", default_value_t = 0,
            value_parser = clap::value_parser!(u32).range(0..=GREATEST_PRIORITY))]
        priority: u32,
        /// Wait no longer than this, as in 500ms, 10s, 2min. 0s does not wait
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        timeout: Option<Duration>,
    },
    /// Receive one message and print it, and wait while the queue is empty
    Recv {
        #[arg(value_parser = message_queue)]
        name: Name,
        /// Wait no longer than this, as in 500ms, 10s, 2min. 0s does not wait
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        timeout: Option<Duration>,
        /// How to print it
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        match self.operation {
            Operation::Create {
                name,
                max_msgs,
                max_msg_size,
                mode,
            } => {
                let size = max_msgs.zip(max_msg_size);
                create(
                    &name,
                    mode,
                    size.map(|(messages, Bytes(size))| (messages, size)),
                )?;
                Ok(ExitCode::SUCCESS)
            }
            Operation::Send {
                name,
                message,
                priority,
                timeout,
            } => send(&name, message, priority, timeout),
            Operation::Recv {
                name,
                timeout,
                format,
            } => receive(&name, timeout, format),
        }
    }
}

fn create(name: &Name, mode: u32, size: Option<(u32, u64)>) -> Result<()> {
    let (messages, size) = match size {
        Some((messages, size)) => (messages.into(), i64::try_from(size)?),
        // `mq_open` of nix passes no mode to the system if it has no size.
        None => (
            system_default("msg_default")?,
            system_default("msgsize_default")?,
        ),
    };
    let attributes = MqAttr::new(0, messages, size, 0);
    let flags = MQ_OFlag::O_RDWR | MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(mode);
    match mq_open(name.as_c_str(), flags, mode, Some(&attributes)) {
        Ok(_) => Ok(()),
        Err(Errno::EINVAL) => bail!(
            "{}:{name} cannot be created with this size; the greatest are in \
             /proc/sys/fs/mqueue/msg_max and msgsize_max",
            name.kind()
        ),
        Err(Errno::EMFILE) => bail!(
            "{}:{name} cannot be created: the queues of this user take all that they may; \
             see ulimit -q",
            name.kind()
        ),
        Err(errno) => Err(failed("created", name, &errno.into())),
    }
}

fn system_default(file: &str) -> Result<i64> {
    let path = format!("/proc/sys/fs/mqueue/{file}");
    let number = std::fs::read_to_string(&path).ok();
    number
        .and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("{path} does not say the size; use --max-msgs and --max-msg-size"))
}

fn open(name: &Name, direction: MQ_OFlag) -> Result<(MqdT, usize)> {
    let flags = direction | MQ_OFlag::O_NONBLOCK | MQ_OFlag::O_CLOEXEC;
    let queue = mq_open(name.as_c_str(), flags, Mode::empty(), None)
        .map_err(|errno| failed("opened", name, &errno.into()))?;
    let longest = mq_getattr(&queue).map_err(|errno| failed("looked at", name, &errno.into()))?;
    Ok((queue, usize::try_from(longest.msgsize())?))
}

/// Waits until the queue may be ready. False when the time is over.
fn is_ready(queue: &MqdT, events: PollFlags, deadline: Deadline) -> Result<bool> {
    let Some(left) = deadline.left() else {
        return Ok(false);
    };
    // Rounded up: who has half a millisecond left waits for it.
    let left = u64::try_from(left.as_micros().div_ceil(1000))?;
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(queue.as_fd(), events)], left) {
        Ok(_) | Err(Errno::EINTR) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

fn send(
    name: &Name,
    message: Option<String>,
    priority: u32,
    timeout: Option<Duration>,
) -> Result<ExitCode> {
    let (queue, longest) = open(name, MQ_OFlag::O_WRONLY)?;
    let message = match message {
        Some(message) => message.into_bytes(),
        None => {
            let mut input = Vec::new();
            // One more, to know that it is too long.
            let most = longest as u64 + 1;
            io::stdin()
                .take(most)
                .read_to_end(&mut input)
                .context("standard input cannot be read")?;
            input
        }
    };
    if message.len() > longest {
        bail!("mq:{name} takes messages of up to {longest} bytes, and this one is longer");
    }
    let deadline = Deadline::new(timeout);
    loop {
        match mq_send(&queue, &message, priority) {
            Ok(()) => return Ok(ExitCode::SUCCESS),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                if !is_ready(&queue, PollFlags::POLLOUT, deadline)? {
                    let limit = timeout.unwrap_or_default();
                    return Ok(timed_out(name, "it stayed full", limit));
                }
            }
            Err(errno) => return Err(failed("sent to", name, &errno.into())),
        }
    }
}

fn receive(name: &Name, timeout: Option<Duration>, format: Format) -> Result<ExitCode> {
    let (queue, longest) = open(name, MQ_OFlag::O_RDONLY)?;
    let mut message = vec![0; longest];
    let mut priority = 0;
    let deadline = Deadline::new(timeout);
    let length = loop {
        match mq_receive(&queue, &mut message, &mut priority) {
            Ok(length) => break length,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                if !is_ready(&queue, PollFlags::POLLIN, deadline)? {
                    let limit = timeout.unwrap_or_default();
                    return Ok(timed_out(name, "no message came", limit));
                }
            }
            Err(errno) => return Err(failed("received from", name, &errno.into())),
        }
    };
    message.truncate(length);
    let mut shown = match format {
        Format::Raw => message,
        Format::Json => json(&message, priority).into_bytes(),
    };
    if format == Format::Raw && io::stdout().is_terminal() && shown.last() != Some(&b'\n') {
        shown.push(b'\n');
    }
    let mut output = io::stdout().lock();
    let written = output.write_all(&shown).and_then(|()| output.flush());
    // Whoever sees this must not believe that the message is still in the queue.
    written.map_err(|error| {
        anyhow!("a message of mq:{name} was taken and is lost: nobody reads the output: {error}")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn json(message: &[u8], priority: u32) -> String {
    let mut json = serde_json::json!({ "priority": priority, "size": message.len() });
    match std::str::from_utf8(message) {
        Ok(text) => json["text"] = text.into(),
        Err(_) => json["base64"] = base64(message).into(),
    }
    format!("{}\n", output::escape_json(&json.to_string()))
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            text.push(match digit <= group.len() {
                true => DIGITS[(bits >> (18 - 6 * digit) & 63) as usize].into(),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4648, and bytes that are no text.
    #[test]
    fn base64_is_the_usual_one() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"fooba", "Zm9vYmE="),
            (b"foobar", "Zm9vYmFy"),
            (b"\xff\xfe\xfb\0", "//77AA=="),
        ] {
            assert_eq!(base64(bytes), text);
        }
    }
}
