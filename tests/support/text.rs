//! Guests in the text format, which take no tool chain.

/// A component that does nothing but run this body of a function, which returns 0 for
/// success and may call `$exit` with a code. `fields` are more of its module.
pub fn component(fields: &str, body: &str) -> String {
    format!(
        r#"(component
            (import "wasi:cli/exit@0.2.12" (instance $wasi
                (export "exit-with-code" (func (param "status-code" u8)))))
            (core func $exit (canon lower (func $wasi "exit-with-code")))
            (core module $code
                (import "wasi" "exit" (func $exit (param i32)))
                {fields}
                (func (export "run") (result i32) {body}))
            (core instance $code (instantiate $code
                (with "wasi" (instance (export "exit" (func $exit))))))
            (func $run (result (result)) (canon lift (core func $code "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.12" (instance $command)))"#
    )
}
