//! The engine that guests run on.

use wasmtime::{Config, Engine};

/// `component-model-async` costs every host call time. Features of one build add up, so
/// any dependency could switch it on. A wasmtime without it cannot do what it is for,
/// which is asked of the very wasmtime that these tests are linked with.
#[test]
fn is_built_without_component_model_async() {
    let mut config = Config::new();
    config.concurrency_support(true);
    let Err(error) = Engine::new(&config) else {
        panic!(
            "something has switched wasmtime's feature component-model-async on; \
             `cargo tree -e features -i wasmtime` says what"
        );
    };
    let error = format!("{error:#}");
    assert!(error.contains("not compiled into this build"), "{error}");
}

#[test]
fn can_do_without_concurrency() {
    let mut config = Config::new();
    config.concurrency_support(false);
    assert!(Engine::new(&config).is_ok());
}
