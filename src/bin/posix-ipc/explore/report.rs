//! What a run was, for people.

use wasmtime_posix_ipc::explore::{Failure, Lab, Run};

/// Prints a run and why it failed.
pub fn print(lab: &Lab, run: &Run) {
    let labels: Vec<&str> = lab.labels().collect();
    println!("{:?}", run.schedule);
    match &run.failure {
        None => println!("no failure"),
        Some(Failure::Deadlock(waiting)) => {
            let names: Vec<_> = waiting.iter().map(|&guest| labels[guest]).collect();
            println!("deadlock of {}", names.join(", "));
        }
        Some(other) => println!("{other:?}"),
    }
}
