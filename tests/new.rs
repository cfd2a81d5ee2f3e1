//! `posix-ipc new` and `posix-ipc types`: what they write works.

use crate::support::manual::Example;
use crate::support::scripts::Runtime;
use crate::support::{Ended, Folder, posix_ipc, repository};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Finds the tool chains, and has the commands of a README one after the other.
const PROLOGUE: &str = r#"set -eu
tools="${POSIX_IPC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/posix-ipc/tools}"
if [ -r "$tools/env.sh" ]; then . "$tools/env.sh"; fi
export POSIX_IPC_TOOLS="$tools" RUSTC="${POSIX_IPC_GUEST_RUSTC:-rustc}"
XDG_CACHE_HOME=$CACHE
"#;

fn new(arguments: &[&str], folder: &Path) -> Ended {
    let mut command = posix_ipc();
    command.arg("new").args(arguments).arg(folder);
    Ended::of(&mut command)
}

/// Makes a project, and does what its README says.
#[track_caller]
fn builds_and_runs(language: &str, sdk: &[&str]) {
    let folder = Folder::new();
    // Of this name is the queue too, which others must not have.
    let name = format!("new-{language}-{:08x}", rand::random::<u32>());
    let project = folder.path().join(&name);
    let mut arguments = vec![language];
    arguments.extend(sdk);
    let ended = new(&arguments, &project);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");

    let commands = Example::only(&project.join("README.md"), "sh").text;
    assert_eq!(commands.lines().count(), 3, "{commands}");
    let ended = Ended::of(&mut shell(&project, &commands));
    assert_eq!(ended.code, Some(0), "{commands}{ended:?}");
    let line = format!("hello from {name} (priority 3)");
    let said = ended.stdout.lines().filter(|said| *said == line).count();
    // A script runs in all three, and what is compiled in two.
    let runs = if matches!(language, "python" | "js") {
        3
    } else {
        2
    };
    assert_eq!(said, runs, "{commands}{ended:?}");
    // The grants that the README has are those that it needs.
    let learnt = format!("--mq /{name}.jobs,both,create");
    assert!(ended.stderr.contains(&learnt), "{ended:?}");
    assert!(commands.contains(&learnt), "{commands}");
}

fn shell(project: &Path, commands: &str) -> Command {
    let command = posix_ipc();
    let value = |name: &str| {
        let mut variables = command.get_envs();
        let found = variables.find_map(|(own, value)| value.filter(|_| own == name));
        PathBuf::from(found.unwrap())
    };
    let program = Path::new(command.get_program()).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{PROLOGUE}{commands}")])
        .current_dir(project)
        .env("PATH", path)
        .env("CACHE", value("XDG_CACHE_HOME"))
        .env("XDG_RUNTIME_DIR", value("XDG_RUNTIME_DIR"))
        .env("POSIX_IPC_RUNTIMES", repository().join("target/runtimes"));
    for variable in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "CARGO_TARGET_DIR",
    ] {
        shell.env_remove(variable);
    }
    shell
}

fn sdk() -> String {
    repository().join("guest-sdk").to_str().unwrap().to_owned()
}

#[test]
fn a_rust_project_builds_and_runs() {
    builds_and_runs("rust", &["--sdk", &sdk()]);
}

#[test]
fn a_c_project_builds_and_runs() {
    builds_and_runs("c", &["--sdk", &sdk()]);
}

#[test]
fn a_go_project_builds_and_runs() {
    builds_and_runs("go", &["--sdk", &sdk()]);
}

#[test]
fn a_python_project_runs() {
    let _ = Runtime::find("python");
    builds_and_runs("python", &[]);
}

#[test]
fn a_javascript_project_runs() {
    let _ = Runtime::find("js");
    builds_and_runs("js", &[]);
}

#[test]
fn nothing_is_overwritten_and_mistakes_are_explained() {
    let folder = Folder::new();
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("main.py"), "mine").unwrap();
    let ended = new(&["python"], &taken);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("name one that does not exist"),
        "{ended:?}"
    );
    assert_eq!(fs::read_to_string(taken.join("main.py")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 1);

    let ended = new(&["python"], &folder.path().join("two words"));
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("it starts with a letter"),
        "{ended:?}"
    );

    let project = folder.path().join("project");
    let ended = new(&["c", "--sdk", "/nonexistent"], &project);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains("/nonexistent is not it; name it with --sdk DIR"),
        "{ended:?}"
    );
    assert!(!project.exists());

    let ended = new(&["cobol"], &project);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("rust, c, go, python, js"),
        "{ended:?}"
    );
}

#[test]
fn types_are_those_of_the_sdks() {
    let folder = Folder::new();
    let output = folder.path().join("a/typings");
    let ended = Ended::of(posix_ipc().args(["types", "--output"]).arg(&output));
    assert_eq!(
        (ended.code, &*ended.stdout, &*ended.stderr),
        (Some(0), "", "")
    );
    for (written, source) in [
        (
            "posix_ipc/__init__.pyi",
            "python/src/posix_ipc/__init__.pyi",
        ),
        ("posix-ipc.d.ts", "js/posix-ipc.d.ts"),
        ("globals.d.ts", "js/globals.d.ts"),
    ] {
        let source = fs::read_to_string(repository().join("guest-sdk").join(source)).unwrap();
        assert_eq!(fs::read_to_string(output.join(written)).unwrap(), source);
    }
}
