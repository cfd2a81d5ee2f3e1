//! A run as a trace, in the format of Chrome's trace events, which `ui.perfetto.dev` opens.
//!
//! The time of guests stands still while they run. So the trace counts operations: each
//! takes a microsecond.
//!
//! <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMCN4I_GK3rLXPvZ5tM>

use super::report;
use serde_json::{Value, json};
use std::collections::HashMap;
use wasmtime_posix_ipc::explore::{Lab, Operation, Outcome, Run};

pub fn trace(lab: &Lab, run: &Run) -> Value {
    let labels: Vec<&str> = lab.labels().collect();
    let mut events = Vec::new();
    for (guest, label) in labels.iter().enumerate() {
        events.push(json!({
            "name": "thread_name", "ph": "M", "pid": 1, "tid": guest + 1, "args": {"name": label},
        }));
    }
    for (place, operation) in run.operations.iter().enumerate() {
        let waits = operation.outcome == Outcome::Waits;
        let length = match waits {
            true => wait_end(run, place) - place,
            false => 1,
        };
        let name = match waits {
            true => format!("wait for {}", operation.object),
            false => format!("{} {}", operation.call, operation.object),
        };
        events.push(json!({
            "name": name,
            "cat": if waits { "wait" } else { "operation" },
            "ph": "X", "pid": 1, "tid": operation.guest + 1, "ts": place, "dur": length,
            "args": {
                "call": operation.call,
                "object": operation.object,
                "arguments": operation.arguments(),
                "result": operation.outcome.to_string(),
                "choice": operation.choice,
                "time": operation.time.as_nanos() as u64,
            },
        }));
        if matches!(operation.outcome, Outcome::Killed | Outcome::Refused(_)) {
            events.push(json!({
                "name": operation.outcome.to_string(), "cat": "fault", "ph": "i", "s": "t",
                "pid": 1, "tid": operation.guest + 1, "ts": place,
            }));
        }
    }
    for (id, (from, to)) in arrows(&run.operations).into_iter().enumerate() {
        for (phase, place) in [("s", from), ("f", to)] {
            let mut event = json!({
                "name": "lets go on", "cat": "arrow", "ph": phase, "id": id, "pid": 1,
                "tid": run.operations[place].guest + 1, "ts": place,
            });
            if phase == "f" {
                event["bp"] = "e".into();
            }
            events.push(event);
        }
    }
    if run.failure.is_some() {
        events.push(json!({
            "name": report::verdict(&labels, run.failure.as_ref()), "cat": "failure", "ph": "i",
            "s": "g", "pid": 1, "tid": 1, "ts": run.operations.len(),
        }));
    }
    json!({"traceEvents": events, "displayTimeUnit": "ns"})
}

/// Where the wait that begins in this place has ended, or the trace has.
fn wait_end(run: &Run, place: usize) -> usize {
    let guest = run.operations[place].guest;
    run.operations[place + 1..]
        .iter()
        .position(|other| other.guest == guest)
        .map_or(run.operations.len(), |after| place + 1 + after)
}

/// From an operation to the end of the wait of another guest that it has ended: of several
/// that could have, the first after the wait began.
fn arrows(operations: &[Operation]) -> Vec<(usize, usize)> {
    let mut arrows = Vec::new();
    // By object: those that can end a wait, and have ended none.
    let mut free: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut waits: HashMap<usize, usize> = HashMap::new();
    for (place, operation) in operations.iter().enumerate() {
        if operation.outcome == Outcome::Waits {
            waits.insert(operation.guest, place);
            continue;
        }
        let began = waits.remove(&operation.guest);
        if !matches!(operation.outcome, Outcome::Done(_)) {
            continue;
        }
        let before = free.entry(&operation.object).or_default();
        if let Some(began) = began {
            let ends = |&other: &usize| {
                let other_operation = &operations[other];
                other > began
                    && other_operation.guest != operation.guest
                    && lets_go_on(other_operation.call, operation.call)
            };
            if let Some(at) = before.iter().position(ends) {
                let other = before[at];
                arrows.push((other, place));
                // A word that has changed lets everybody go on.
                if operation.call != "wait" {
                    before.remove(at);
                }
            }
        }
        before.push(place);
    }
    arrows
}

fn lets_go_on(call: &str, waiting: &str) -> bool {
    match waiting {
        "acquire" => call == "release",
        "receive" | "receive-batch" => matches!(call, "send" | "send-batch"),
        "send" => matches!(call, "receive" | "receive-batch"),
        "wait" => matches!(
            call,
            "write"
                | "store"
                | "add"
                | "and"
                | "or"
                | "xor"
                | "exchange"
                | "compare-exchange"
                | "notify"
        ),
        _ => false,
    }
}
