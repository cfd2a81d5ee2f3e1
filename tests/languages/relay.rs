//! The example `relay`: one scenario in five languages, native and sandboxed. Every
//! producer with every consumer; each checks every byte that it gets from the other.

use crate::support::program::{
    Program, guest_c, guest_go, guest_rust, guest_script, native_c, peer_python,
};
use crate::support::{Names, repository};
use std::path::PathBuf;
use std::sync::Mutex;

const JOBS: u32 = 60;

/// How many pairs run at a time. Each has a queue, of which a user cannot have many.
const AT_A_TIME: usize = 3;

fn example(path: &str) -> PathBuf {
    repository().join("guest-examples/relay").join(path)
}

fn programs() -> Vec<(&'static str, Program)> {
    vec![
        ("native C", native_c(&example("c/relay.c"))),
        ("native Python", peer_python(&example("python/relay.py"))),
        ("C guest", guest_c(&example("c/relay.c"))),
        ("Rust guest", guest_rust(&example("rust"))),
        ("Go guest", guest_go(&example("go"))),
        (
            "Python guest",
            guest_script("python", &example("python/relay.py")),
        ),
        (
            "JavaScript guest",
            guest_script("js", &example("js/relay.js")),
        ),
    ]
}

/// What the producer's payloads are, computed once more: a fault that all languages have
/// in common would not be noticed otherwise.
fn payload(seed: u32) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2654435761);
    let length = 1 + (x >> 16) % 4096;
    let next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as u8
    };
    std::iter::repeat_with(next).take(length as usize).collect()
}

fn expected() -> [String; 2] {
    let (mut bytes, mut checksum) = (0, 0u32);
    for payload in (1..=JOBS).map(payload) {
        bytes += payload.len();
        let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(16777619);
        checksum = checksum.wrapping_add(payload.iter().fold(2166136261, step));
    }
    [
        format!("produced {JOBS} jobs, {bytes} bytes\n"),
        format!("consumed {JOBS} jobs, {bytes} bytes, checksum {checksum:08x}\n"),
    ]
}

#[test]
fn every_producer_with_every_consumer() {
    let programs = programs();
    let pairs: Vec<_> = programs
        .iter()
        .flat_map(|producer| programs.iter().map(move |consumer| (producer, consumer)))
        .collect();
    let pairs = Mutex::new(pairs.into_iter());
    let next = || pairs.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((producer, consumer)) = next() {
                    relay(producer, consumer);
                }
            });
        }
    });
}

fn relay((producer_name, producer): &(&str, Program), (consumer_name, consumer): &(&str, Program)) {
    let [produced, consumed] = expected();
    let names = Names::new();
    names.name("jobs");
    let consuming = consumer.start(&names, ["consume", &names.start()]);
    let producing = producer.start(&names, ["produce", &names.start(), &JOBS.to_string()]);
    let pair = format!("{producer_name} to {consumer_name}");
    assert_eq!(producing.output(), produced, "{pair}");
    assert_eq!(consuming.output(), consumed, "{pair}");
    assert_eq!(names.existing(), [""; 0], "{pair}");
    eprintln!("{pair}: {JOBS} jobs");
}
