//! What a search found, for programs.

use super::Found;
use super::report;
use super::rows::{FaultRow, rows};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;
use wasmtime_posix_ipc::explore::{Failure, Lab, Run};

/// A search, as one value.
pub fn json(lab: &Lab, found: &Found) -> Value {
    let mut value = json!({
        "runs": found.runs,
        "complete": found.complete,
        "failure": null,
    });
    if let Some(run) = &found.failed {
        value["failure"] = failure(run);
        value["run"] = self::run(&lab.labels().collect::<Vec<_>>(), run);
    }
    value
}

/// A run, as one value.
pub fn run<T: AsRef<str>>(labels: &[T], run: &Run) -> Value {
    let labels = labels.iter().map(AsRef::as_ref);
    let guests = labels.zip(&run.outputs).map(
        |(label, [out, err]): (&str, _)| json!({"label": label, "stdout": out, "stderr": err}),
    );
    json!({
        "guests": guests.collect::<Vec<_>>(),
        "schedule": run.schedule,
        "faults": run.faults.iter().map(FaultRow::of).collect::<Vec<_>>(),
        "operations": rows(run),
        "elapsed": u64::try_from(run.elapsed.as_nanos()).unwrap_or(u64::MAX),
        "failure": failure(run),
    })
}

fn failure(run: &Run) -> Value {
    match &run.failure {
        None => Value::Null,
        Some(Failure::Deadlock(blocked)) => {
            let waits = |(guest, object): &(usize, Option<String>)| json!({"guest": guest, "waits-for": object});
            json!({"kind": "deadlock", "waits": blocked.iter().map(waits).collect::<Vec<_>>()})
        }
        Some(Failure::Exit { guest, code }) => {
            json!({"kind": "exit", "guest": guest, "code": code})
        }
        Some(Failure::Trap { guest, why }) => json!({"kind": "trap", "guest": guest, "why": why}),
        Some(Failure::StepLimit) => json!({"kind": "steps"}),
        Some(Failure::Check(why)) => json!({"kind": "check", "why": why}),
        Some(other) => json!({"kind": "other", "why": format!("{other:?}")}),
    }
}

/// Writes a search as one test case of JUnit.
pub fn write_junit(file: &Path, lab: &Lab, found: &Found) -> Result<()> {
    let labels: Vec<&str> = lab.labels().collect();
    let failures = u8::from(found.failed.is_some());
    let name = escaped(&labels.join(" "));
    let seconds = found.seconds;
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites tests=\"1\" failures=\"{failures}\">\n\
         <testsuite name=\"posix-ipc explore\" tests=\"1\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"0\" time=\"{seconds:.3}\">\n\
         <testcase classname=\"posix-ipc.explore\" name=\"{name}\" time=\"{seconds:.3}\">\n"
    );
    if let Some(run) = &found.failed {
        let verdict = report::verdict(&labels, run.failure.as_ref());
        text += &format!(
            "<failure message=\"{}\">{}</failure>\n",
            escaped(&verdict),
            escaped(&report::text(lab, run))
        );
    }
    text += "</testcase>\n</testsuite>\n</testsuites>\n";
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// A text that XML can hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' | '\t' => escaped.push(character),
            other if other.is_control() => escaped.extend(other.escape_unicode()),
            other => escaped.push(other),
        }
    }
    escaped
}
