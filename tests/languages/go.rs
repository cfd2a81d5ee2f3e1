//! Guests written in Go, built by the stock compiler.

use crate::support::manual::Example;
use crate::support::program::{guest_go, native_c};
use crate::support::{Ended, Folder, Names, posix_ipc, repository, scratch_file};
use std::process::Command;

#[test]
fn every_kind_within_a_guest() {
    let guest = guest_go(&repository().join("tests/go/kinds"));
    let names = Names::new();
    let output = guest.start(&names, ["self", &names.start()]).output();
    assert_eq!(output, "semaphores\nsegments\nqueues\nlimits\ndone\n");
    assert_eq!(names.existing(), [""; 0]);
}

#[test]
fn every_kind_with_a_native_peer() {
    let guest = guest_go(&repository().join("tests/go/kinds"));
    let peer = native_c(&repository().join("tests/go/peer.c"));
    let names = Names::new();
    names.name("asked");
    names.name("answers");
    let running = guest.start(&names, ["peer", &names.start()]);
    let peer = peer.start(&names, [&names.start()]).output();
    assert_eq!(running.output(), "done\n");
    // Each number from 1 to 200 once, and nothing of the peer's own lost.
    assert_eq!(peer, "total 20100\n");
}

#[test]
fn memory_grows_and_is_collected() {
    let guest = guest_go(&repository().join("tests/go/kinds"));
    let names = Names::new();
    let output = guest.start(&names, ["heap"]).output();
    assert_eq!(output, "total 13369344000\ndone\n");
}

#[test]
fn calls_beside_the_collector() {
    let guest = guest_go(&repository().join("tests/go/kinds"));
    let names = Names::new();
    names.name("queue");
    let output = guest.start(&names, ["churn", &names.start()]).output();
    assert_eq!(output, "churned\ndone\n");
}

#[test]
fn other_goroutines_run_while_one_waits() {
    let guest = guest_go(&repository().join("tests/go/waits"));
    // What starves would go on for ever.
    let output = guest
        .start_with(["--private", "--timeout", "120s"], [""; 0])
        .output();
    assert_eq!(output.lines().count(), 10, "{output}");
}

/// The SDK's wrapper of the go command, in the folder of a module.
fn wrapper(folder: &str, command: &str, flags: &[&str]) -> Ended {
    // So that a machine without Go says what it lacks.
    guest_go(&repository().join("tests/go/waits"));
    let temporary = Folder::new();
    let run = format!(
        "{} run --private --timeout 120s --dir {}::/tmp",
        posix_ipc().get_program().display(),
        temporary.path().display()
    );
    let mut wrapper = Command::new(repository().join("guest-sdk/go/posix-ipc-go"));
    wrapper.args([command, "-exec", &run]).args(flags);
    Ended::of(wrapper.current_dir(repository().join(folder)))
}

#[test]
fn the_wrapper_tests_a_package() {
    let ended = wrapper("guest-sdk/go", "test", &["-v", "."]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.matches("--- PASS: Example").count(), 5);
}

#[test]
fn the_wrapper_runs_a_program_with_tags() {
    let tags = ["-tags", "direct", "."];
    let ended = wrapper("tests/go/waits", "run", &tags);
    assert_eq!(
        (ended.code, ended.lines().len()),
        (Some(0), 10),
        "{ended:?}"
    );
}

#[test]
fn the_go_command_knows_the_package() {
    // So that a machine without Go says what it lacks.
    guest_go(&repository().join("tests/go/waits"));
    let find = r#"
        tools="${POSIX_IPC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/posix-ipc/tools}"
        if [ -r "$tools/env.sh" ]; then . "$tools/env.sh"; fi
        exec "$POSIX_IPC_GUEST_GO" "$@"
    "#;
    let folder = repository().join("tests/go/waits");
    for arguments in [&["mod", "tidy", "-diff"][..], &["vet", "."]] {
        let mut command = Command::new("sh");
        command.args(["-c", find, "go"]).args(arguments);
        command.current_dir(&folder);
        command.envs([("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local")]);
        command.envs([("GOPROXY", "off"), ("GOWORK", "off")]);
        let ended = Ended::of(&mut command);
        assert_eq!((ended.code, &*ended.stdout), (Some(0), ""), "{ended:?}");
    }
}

#[test]
fn the_program_of_the_manual_runs() {
    let program = Example::only(&repository().join("guest-sdk/go/README.md"), "go");
    let source = scratch_file("go-manual/main.go", &program.text);
    scratch_file("go-manual/go.mod", "module manual\n\ngo 1.26\n");
    let guest = guest_go(source.parent().unwrap());
    super::program_of_a_manual(&guest);
}
