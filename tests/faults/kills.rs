//! A host is killed when it enters a system call, any of them.

use super::calls::count;
use super::scenario::{Scenario, Subject};
use crate::support::strace;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How many are killed where nobody asks for more.
const SAMPLE: usize = 40;

#[test]
fn a_host_is_killed_at_a_system_call() {
    let (subject, strace) = (Subject::probe(), strace());
    let asked = std::env::var("POSIX_IPC_KILLS").ok();
    let kills = asked
        .as_ref()
        .map_or(SAMPLE, |kills| kills.parse().unwrap());
    // The same places in each test run; others where somebody asks for more.
    let seed = asked.map_or(0, |_| rand::random());
    let random = Mutex::new(StdRng::seed_from_u64(seed));
    let counts: Vec<_> = count(&strace, &subject).into_iter().collect();
    let places: usize = counts.iter().map(|(_, count)| count).sum();
    let left = AtomicUsize::new(kills);
    let killed = AtomicUsize::new(0);
    let lost = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while left
                    .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
                    .is_ok()
                {
                    let mut place = random.lock().unwrap().random_range(0..places);
                    let (call, when) = counts
                        .iter()
                        .find_map(|&(call, count)| match place.checked_sub(count) {
                            None => Some((call, place + 1)),
                            Some(rest) => {
                                place = rest;
                                None
                            }
                        })
                        .unwrap();
                    let mut scenario = Scenario::new(&subject);
                    let inject = format!("inject=?{call}:signal=KILL:when={when}");
                    let log = scenario.path("log");
                    let trace = format!("trace=?{call}");
                    // With a filter of seccomp, strace 6.1 injects no signals.
                    let options = ["-o", &log, "-e", &trace, "-e", &inject];
                    let ended = scenario.end(&mut scenario.host(&strace, &options));
                    killed.fetch_add(usize::from(ended.code.is_none()), SeqCst);
                    let mut lost_now = 0;
                    if let Some(problem) = scenario.problem(Some(&mut lost_now)) {
                        let mut problems = problems.lock().unwrap();
                        problems.push(format!("{call} {when}: {problem}"));
                    }
                    lost.fetch_add(lost_now, SeqCst);
                }
            });
        }
    });
    let (killed, lost) = (killed.into_inner(), lost.into_inner());
    println!("{killed} of {kills} hosts were killed, at {places} places; {lost} tokens lost");
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(killed > kills / 2, "{killed}");
}
