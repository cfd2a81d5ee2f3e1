//! Guests in each of the languages, and what the pages show of them.

mod c;
mod examples;
mod go;
mod javascript;
mod pages;
mod python;
mod readme;
mod relay;
mod rust;

use crate::support::Names;
use crate::support::program::Program;

/// Runs the program that the manuals of compiled languages have. The names that it uses
/// others may be using, so each leads to one that nobody does.
fn program_of_a_manual(guest: &Program) {
    let names = Names::new();
    let options = [("--shm", "total"), ("--sem", "gate"), ("--mq", "jobs")];
    let options = options.map(|(kind, stem)| {
        let name = names.name(stem);
        [kind.to_owned(), format!("{name}::/{stem},create")]
    });
    let output = guest.start_with(options.concat(), [""; 0]).output();
    assert_eq!(output, "total 55\n");
}
