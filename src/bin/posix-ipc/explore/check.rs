//! A command that looks at each run.

use anyhow::{Context, Result};
use serde_json::Value;
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

/// Gives a command of the shell a run on standard input. What is wrong with the run, if
/// anything is.
pub fn check(command: &str, run: &Value) -> Result<Option<String>> {
    let shown = command.escape_debug();
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("/bin/sh cannot be started for the check")?;
    // A program that does not read is given up on, not waited for.
    let input = child.stdin.take();
    let text = run.to_string();
    let writer =
        std::thread::spawn(
            move || match input.map(|mut to| to.write_all(text.as_bytes())) {
                Some(Err(error)) if error.kind() != ErrorKind::BrokenPipe => Err(error),
                _ => Ok(()),
            },
        );
    let ended = child
        .wait_with_output()
        .with_context(|| format!("the check {shown} cannot be waited for"))?;
    if let Ok(written) = writer.join() {
        written.with_context(|| format!("the check {shown} cannot be given the run"))?;
    }
    if ended.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&ended.stdout);
    let said = said.trim();
    Ok(Some(match said.is_empty() {
        true => format!("{shown}: {}", ended.status),
        false => format!("{shown}: {}: {said}", ended.status),
    }))
}
