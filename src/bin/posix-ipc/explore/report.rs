//! What a run was, for people.

use super::rows::{Row, rows};
use std::fmt::Write as _;
use wasmtime_posix_ipc::explore::{Failure, Lab, Run};

/// How many operations are shown: the last ones.
const MOST_SHOWN: usize = 200;

/// What the guests did in a run, what they said, and why it failed.
pub fn text(lab: &Lab, run: &Run) -> String {
    let labels: Vec<&str> = lab.labels().collect();
    let mut text = table(&labels, &rows(run));
    let width = labels.iter().map(|label| label.len()).max().unwrap_or(0);
    for (label, [out, err]) in labels.iter().zip(&run.outputs) {
        for line in out.lines().chain(err.lines()) {
            let _ = writeln!(text, "{label:width$}  said: {}", line.escape_debug());
        }
    }
    if let Some(Failure::Deadlock(blocked)) = &run.failure {
        for (guest, object) in blocked {
            let object = object.as_deref().unwrap_or("a pollable");
            let _ = writeln!(text, "{:width$}  waits for {object}", labels[*guest]);
        }
    }
    text + &verdict(&labels, run.failure.as_ref()) + "\n"
}

/// Why a run failed, in a line.
pub fn verdict(labels: &[&str], failure: Option<&Failure>) -> String {
    match failure {
        None => "no failure".into(),
        Some(Failure::Deadlock(_)) => "deadlock: nobody can go on".into(),
        Some(Failure::Exit { guest, code }) => format!("{}  exit code {code}", labels[*guest]),
        Some(Failure::Trap { guest, why }) => {
            format!("{}  trapped: {}", labels[*guest], why.escape_debug())
        }
        Some(Failure::StepLimit) => "the run took more than its --steps".into(),
        Some(Failure::Check(why)) => format!("the check failed: {}", why.escape_debug()),
        Some(other) => format!("{other:?}"),
    }
}

/// A column for each guest, a line for each operation.
fn table(labels: &[&str], rows: &[Row]) -> String {
    let left_out = rows.len().saturating_sub(MOST_SHOWN);
    let shown = &rows[left_out..];
    let cell = |row: &Row| {
        let space = if row.arguments.is_empty() { "" } else { " " };
        let (call, object, arguments) = (&row.call, &row.object, &row.arguments);
        format!("{call} {object}{space}{arguments}: {}", row.result)
    };
    let cells: Vec<(usize, String)> = shown
        .iter()
        .map(|row| (row.guest, cell(row).escape_debug().to_string()))
        .collect();
    let width = |guest: usize| {
        let cells = cells.iter().filter(|(of, _)| *of == guest);
        let longest = cells.map(|(_, cell)| cell.chars().count()).max();
        longest.unwrap_or(0).max(labels[guest].chars().count())
    };
    let widths: Vec<usize> = (0..labels.len()).map(width).collect();
    let line = |of: &dyn Fn(usize) -> String| {
        let cells = widths.iter().enumerate();
        let cells = cells.map(|(guest, &width)| format!("{:width$}", of(guest)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&|guest| labels[guest].to_owned());
    text += &line(&|guest| "-".repeat(widths[guest]));
    if left_out > 0 {
        let _ = writeln!(text, "… {left_out} operations before these");
    }
    for (by, cell) in &cells {
        text += &line(&|guest| match guest == *by {
            true => cell.clone(),
            false => String::new(),
        });
    }
    text + "\n"
}
