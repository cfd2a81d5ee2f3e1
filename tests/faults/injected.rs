//! The n-th call of each kind fails, for every n and every error.

use super::calls::{FAULTS, count};
use super::scenario::{Scenario, Subject};
use crate::support::strace;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

/// How many are tried where nobody asks for more.
const SAMPLE: usize = 40;

/// The same of a script: to start one takes longer.
const SAMPLE_OF_SCRIPT: usize = 10;

/// Where what the host is made of ends the process over a failure, which no guest brings
/// about: before there is one, or by errors that the kernel does not give there. Nothing
/// is left then either. The call, from which one on, and words of the message.
const ABORTS: [(&str, usize, &str); 7] = [
    // The loader.
    ("mmap", 1, ""),
    // The alternative stacks of a thread that starts.
    ("mmap", 1, "stack_overflow.rs"),
    ("mprotect", 1, "stack"),
    // The addresses of a memory that is gone.
    ("munmap", 1, "munmap failed"),
    // Tokio's own eventfd, which is written to without waiting.
    ("write", 1, "failed to wake I/O driver"),
    // Tokio's pair for signals, right after the host has seen that it can have one.
    ("socketpair", 2, "failed to create UnixStream"),
    // Tokio's thread for files, right after the host has seen that it can have one.
    ("clone3", 2, "can't spawn worker thread"),
];

struct Fault {
    call: &'static str,
    error: &'static str,
    when: usize,
}

#[test]
fn a_system_call_fails() {
    fail_each(&Subject::probe(), SAMPLE);
}

#[test]
fn a_system_call_fails_under_a_script() {
    fail_each(&Subject::script(), SAMPLE_OF_SCRIPT);
}

/// Tries a sample, which is the same each time, or as many as somebody asks for.
fn fail_each(subject: &Subject, sample: usize) {
    let strace = strace();
    let counts = count(&strace, subject);
    let all: Vec<Fault> = FAULTS
        .iter()
        .flat_map(|&(call, errors)| {
            let count = counts.get(call).copied().unwrap_or(0);
            errors
                .iter()
                .flat_map(move |&error| (1..=count).map(move |when| Fault { call, error, when }))
        })
        .collect();
    let step = match std::env::var("POSIX_IPC_FAULTS").as_deref() {
        Ok("all") => 1,
        Ok(number) => all.len() / number.parse::<usize>().unwrap() + 1,
        Err(_) => all.len() / sample + 1,
    };
    let faults = Mutex::new(all.iter().step_by(step));
    let outcome = Mutex::new((0, BTreeMap::<String, usize>::new()));
    let next = || faults.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    let problem = problem(&strace, subject, fault);
                    let mut outcome = outcome.lock().unwrap();
                    outcome.0 += 1;
                    if let Some(problem) = problem {
                        let Fault { call, error, when } = fault;
                        println!("{call} {when} {error}: {problem}");
                        *outcome.1.entry(format!("{call} {error}")).or_default() += 1;
                    }
                }
            });
        }
    });
    let (done, problems) = outcome.into_inner().unwrap();
    println!(
        "{done} of {} failures of system calls were tried",
        all.len()
    );
    assert!(problems.is_empty(), "{problems:#?}");
}

fn problem(strace: &Path, subject: &Subject, fault: &Fault) -> Option<String> {
    let Fault { call, error, when } = fault;
    let mut scenario = Scenario::new(subject);
    let trace = format!("trace=?{call}");
    let inject = format!("inject=?{call}:error={error}:when={when}");
    let log = scenario.path("log");
    let options = ["--seccomp-bpf", "-o", &log, "-e", &trace, "-e", &inject];
    // Whoever hangs fails the test there.
    let ended = scenario.end(&mut scenario.host(strace, &options));
    // A guest in Rust panics when it cannot write, and says so as its only thread.
    let panics = |line: &str| line.contains("panicked") && !line.contains("(1) panicked");
    let ends_badly =
        ended.code.is_none_or(|code| matches!(code, 101 | 124)) || ended.stderr.lines().any(panics);
    let is_known = |(of, from, words): &(&str, usize, &str)| {
        of == call
            && when >= from
            && match words.is_empty() {
                true => ended.stderr.is_empty() && ended.stdout.is_empty(),
                false => ended.stderr.contains(words),
            }
    };
    let out_of_memory = ended.stderr.contains("memory allocation");
    if ends_badly && !out_of_memory && !ABORTS.iter().any(is_known) {
        return Some(format!("it ended with {:?}: {}", ended.code, ended.stderr));
    }
    let told = |line: &str| line.starts_with("ok") || line.starts_with("error ");
    if let Some(other) = ended.stdout.lines().find(|line| !told(line)) {
        return Some(format!("the guest was told {other:?}"));
    }
    scenario.problem(None)
}
