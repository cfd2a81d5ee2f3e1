//! `probe process WHAT`: how a guest ends, and what it sees of the machine.

use std::io::Read;

pub fn main(arguments: &[&str]) {
    match *arguments {
        ["exit", code] => std::process::exit(code.parse().expect("a number")),
        ["trap"] => trap(),
        ["panic"] => panic!("as asked"),
        ["spin"] => {
            println!("spinning");
            loop {
                std::hint::spin_loop();
            }
        }
        ["show", ref rest @ ..] => show(rest),
        ["read", path] => println!("{}", std::fs::read_to_string(path).expect("can be read")),
        ["write", path, text] => std::fs::write(path, text).expect("can be written"),
        _ => panic!("unknown arguments: {arguments:?}"),
    }
}

#[cfg(target_arch = "wasm32")]
fn trap() {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() {}

/// Prints arguments, the environment and standard input.
fn show(arguments: &[&str]) {
    println!("arguments {arguments:?}");
    let mut variables: Vec<_> = std::env::vars().collect();
    variables.sort();
    println!("environment {variables:?}");
    let mut input = String::new();
    std::io::stdin()
        .read_to_string(&mut input)
        .expect("is text");
    println!("input {input:?}");
    eprintln!("and this is standard error");
}
