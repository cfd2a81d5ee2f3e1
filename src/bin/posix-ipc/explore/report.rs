//! What a run was, for people.

use wasmtime_posix_ipc::explore::{Failure, Lab, Run};

/// Prints who went on in a run, and why it failed.
pub fn print(lab: &Lab, run: &Run) {
    let labels: Vec<&str> = lab.labels().collect();
    let width = labels.iter().map(|label| label.len()).max().unwrap_or(0);
    for turns in run.schedule.chunk_by(|one, other| one == other) {
        let steps = if turns.len() == 1 { "step" } else { "steps" };
        println!("{:width$}  {} {steps}", labels[turns[0]], turns.len());
    }
    for (label, [out, err]) in labels.iter().zip(&run.outputs) {
        for line in out.lines().chain(err.lines()) {
            println!("{label:width$}  said: {}", line.escape_debug());
        }
    }
    match &run.failure {
        None => println!("no failure"),
        Some(Failure::Deadlock(blocked)) => {
            for (guest, object) in blocked {
                let object = object.as_deref().unwrap_or("a pollable");
                println!("{:width$}  waits for {object}", labels[*guest]);
            }
            println!("deadlock: nobody can go on");
        }
        Some(Failure::Exit { guest, code }) => {
            println!("{:width$}  exit code {code}", labels[*guest]);
        }
        Some(Failure::Trap { guest, why }) => {
            println!("{:width$}  trapped: {}", labels[*guest], why.escape_debug());
        }
        Some(Failure::StepLimit) => println!("the run took more than its --steps"),
        Some(other) => println!("{other:?}"),
    }
}
