//! `probe conformance PREFIX`: the whole table, an outcome for each line.

use crate::interpreter::Interpreter;
use crate::language::printed;
use crate::table;

pub fn main(prefix: &str) {
    for scenario in table::scenarios(prefix) {
        println!("{}", scenario.name);
        let mut interpreter = Interpreter::default();
        for (_, line) in scenario.lines {
            println!("{}", printed(&interpreter.run(&line)));
        }
    }
}
