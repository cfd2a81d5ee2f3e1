//! Rights that a guest does not have. Those of every operation are in `tests/sandbox/grants.rs`.

use crate::support::{Ended, Folder, Names, Native, run};

/// The guest is made of two components. One opens a semaphore of which it may only
/// wait, and passes the handle to the other, which posts.
#[test]
fn a_handle_that_is_passed_to_another_component() {
    let names = Names::new();
    let name = names.name("gate");
    let mut native = Native::set_up(&[format!("s = sem.open {name} create value=3")]);
    let folder = Folder::new();
    let guest = folder.file("guest.wat", two_components(&name));
    // Exit code 1 is the error `not-permitted`, the first, of the post; 3 is success.
    for (grant, code) in [("wait", 1), ("post", 3), ("use", 3)] {
        let flag = format!("--sem={name},{grant}");
        let ended = Ended::of(&mut run(&[&flag], &guest, &[]));
        assert_eq!(ended.code, Some(code), "{grant}: {ended:?}");
        let denied = format!("posix-ipc: denied sem:{name} (post): granted for wait only");
        assert_eq!(ended.stderr.starts_with(&denied), code == 1, "{ended:?}");
    }
    assert_eq!(native.run("sem.value s"), Ok("5".into()));
}

fn two_components(name: &str) -> String {
    let length = name.len();
    // The instance with its types, as each of the components imports it.
    let semaphores = r#"
        (import "posix:ipc/types@0.1.0" (instance $types
            (type $f (flags "create" "exclusive" "truncate"))
            (export "open-flags" (type (eq $f)))
            (type $e (variant (case "not-permitted") (case "access") (case "exists")
                (case "no-entry") (case "busy") (case "timed-out") (case "cancelled")
                (case "invalid") (case "name-too-long") (case "message-too-long")
                (case "overflow") (case "no-space") (case "quota") (case "closed")
                (case "truncated") (case "unsupported") (case "other" (option string))))
            (export "error-code" (type (eq $e)))))
        (alias export $types "open-flags" (type $flags))
        (alias export $types "error-code" (type $error))
        (import "posix:ipc/semaphore@0.1.0" (instance $semaphores
            (alias outer 1 $flags (type $f')) (export "open-flags" (type $f (eq $f')))
            (alias outer 1 $error (type $e')) (export "error-code" (type $e (eq $e')))
            (export "semaphore" (type $semaphore (sub resource)))
            (export "[static]semaphore.open" (func (param "name" string) (param "flags" $f)
                (param "mode" u32) (param "initial-value" u32)
                (result (result (own $semaphore) (error $e)))))
            (export "[method]semaphore.release" (func (param "self" (borrow $semaphore))
                (result (result (error $e)))))))
        (alias export $semaphores "semaphore" (type $semaphore))
    "#;
    let memory = format!(
        r#"(core module $libc (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (data (i32.const 0) "{name}"))
        (core instance $libc (instantiate $libc))
        (alias core export $libc "memory" (core memory $memory))
        (alias core export $libc "realloc" (core func $realloc))"#
    );
    format!(
        r#"(component
        {semaphores}
        (import "wasi:cli/exit@0.2.12" (instance $wasi
            (export "exit-with-code" (func (param "status-code" u8)))))

        ;; Opens, and gives the handle away.
        (component $opener
            {semaphores}
            {memory}
            (core func $open (canon lower (func $semaphores "[static]semaphore.open")
                (memory $memory) (realloc $realloc)))
            (core module $code
                (import "host" "open" (func $open (param i32 i32 i32 i32 i32 i32)))
                (import "libc" "memory" (memory 1))
                (func (export "give") (result i32)
                    (call $open (i32.const 0) (i32.const {length}) (i32.const 0) (i32.const 0)
                        (i32.const 0) (i32.const 512))
                    (if (i32.load8_u (i32.const 512)) (then unreachable))
                    (i32.load (i32.const 516))))
            (core instance $code (instantiate $code
                (with "libc" (instance $libc))
                (with "host" (instance (export "open" (func $open))))))
            (func (export "give") (result (own $semaphore))
                (canon lift (core func $code "give"))))

        ;; Posts on what it is given.
        (component $poster
            {semaphores}
            {memory}
            (core func $release (canon lower (func $semaphores "[method]semaphore.release")
                (memory $memory) (realloc $realloc)))
            (core module $code
                (import "host" "release" (func $release (param i32 i32)))
                (import "libc" "memory" (memory 1))
                (func (export "post") (param i32) (result i32)
                    (call $release (local.get 0) (i32.const 512))
                    ;; The case of the error and 1, or 3.
                    (if (result i32) (i32.load8_u (i32.const 512))
                        (then (i32.add (i32.load8_u (i32.const 516)) (i32.const 1)))
                        (else (i32.const 3)))))
            (core instance $code (instantiate $code
                (with "libc" (instance $libc))
                (with "host" (instance (export "release" (func $release))))))
            (func (export "post") (param "semaphore" (own $semaphore)) (result u32)
                (canon lift (core func $code "post"))))

        (instance $opener (instantiate $opener
            (with "posix:ipc/types@0.1.0" (instance $types))
            (with "posix:ipc/semaphore@0.1.0" (instance $semaphores))))
        (instance $poster (instantiate $poster
            (with "posix:ipc/types@0.1.0" (instance $types))
            (with "posix:ipc/semaphore@0.1.0" (instance $semaphores))))
        (component $main
            (import "semaphore" (type $semaphore (sub resource)))
            (import "give" (func $give (result (own $semaphore))))
            (import "post" (func $post (param "semaphore" (own $semaphore)) (result u32)))
            (import "exit" (func $exit (param "status-code" u8)))
            (core func $give (canon lower (func $give)))
            (core func $post (canon lower (func $post)))
            (core func $exit (canon lower (func $exit)))
            (core module $code
                (import "" "give" (func $give (result i32)))
                (import "" "post" (func $post (param i32) (result i32)))
                (import "" "exit" (func $exit (param i32)))
                (func (export "run") (result i32)
                    (call $exit (call $post (call $give)))
                    unreachable))
            (core instance $code (instantiate $code (with "" (instance
                (export "give" (func $give)) (export "post" (func $post))
                (export "exit" (func $exit))))))
            (func (export "run") (result (result)) (canon lift (core func $code "run"))))
        (instance $command (instantiate $main
            (with "semaphore" (type $semaphore))
            (with "give" (func $opener "give"))
            (with "post" (func $poster "post"))
            (with "exit" (func $wasi "exit-with-code"))))
        (export "wasi:cli/run@0.2.12" (instance $command)))"#
    )
}
