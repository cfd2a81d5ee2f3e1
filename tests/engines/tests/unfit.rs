//! Engines of kinds that the main package's build of wasmtime does not have: they have no
//! mappings, and say why, and nothing else happens.

use wasmtime::{Config, Engine, InstanceAllocationStrategy, Strategy};
use wasmtime_posix_ipc::mappings::Mappings;

/// Why an engine of this configuration has no mappings, or none if it has.
fn problem(change: impl FnOnce(&mut Config) -> &mut Config) -> Option<String> {
    let mut config = Config::new();
    let mappings = Mappings::configure(&mut config);
    change(&mut config);
    let engine = Engine::new(&config).unwrap();
    let problem = mappings.check(&engine).err();
    problem.map(|problem| problem.to_string())
}

#[track_caller]
fn assert_unfit(reason: &str, change: impl FnOnce(&mut Config) -> &mut Config) {
    let problem = problem(change).expect("no mappings");
    println!("{problem}");
    assert!(problem.contains(reason), "{problem}");
}

#[test]
fn the_plain_configuration_fits() {
    assert_eq!(problem(|config| config), None);
}

#[test]
fn the_pooling_allocator_does_not() {
    assert_unfit("the pooling allocator never does", |config| {
        config.allocation_strategy(InstanceAllocationStrategy::pooling())
    });
}

#[test]
fn winch_does_not() {
    assert_unfit("does not do as expected", |config| {
        config.strategy(Strategy::Winch)
    });
}

#[test]
fn an_engine_for_debugging_does_not() {
    // It comes with explicit checks of bounds only.
    assert_unfit("does not do as expected", |config| {
        config.guest_debug(true).signals_based_traps(false)
    });
}

#[test]
fn a_reservation_of_two_gigabytes_does_not() {
    assert_unfit("reserves less than 4 GiB", |config| {
        config.memory_reservation(2 << 30)
    });
}
