//! Names that were not granted, and other ways to spell those that were.

use super::{ask, attack};
use crate::support::language::escaped;
use crate::support::{Names, Native, guest};

/// The flags that allow everything on one name, of every kind.
fn all(name: &str) -> [String; 3] {
    ["sem", "shm", "mq"].map(|kind| format!("--{kind}={name},own"))
}

fn refs<const N: usize>(texts: &[String; N]) -> [&str; N] {
    texts.each_ref().map(String::as_str)
}

/// A name that only starts like one that was granted.
#[test]
fn a_name_that_starts_like_a_granted_one() {
    let probe = guest("probe");
    let names = Names::new();
    let app = names.name("app");
    let others = ["-evil", ".evil", "s", "/", "\\0"].map(|end| format!("{app}{end}"));
    let shorter = app[..app.len() - 1].to_owned();
    let mut lines = Vec::new();
    for kind in ["sem", "shm", "mq"] {
        for name in others.iter().chain([&shorter]) {
            lines.push(format!("o = {kind}.open {name}"));
            lines.push(format!("o = {kind}.open {name} create"));
            lines.push(format!("{kind}.unlink {name}"));
        }
        lines.push(format!("o = {kind}.unique {app}."));
    }
    let (outcomes, _) = ask(&probe, &refs(&all(&app)), &lines);
    for (line, outcome) in lines.iter().zip(&outcomes) {
        let malformed = line.contains("app/") || line.contains('\\');
        let expected = match malformed {
            true => "error invalid",
            false => "error not-permitted",
        };
        assert_eq!(outcome, expected, "{line}");
    }
    assert_eq!(names.existing(), [""; 0]);
}

/// Malformed names, in a namespace in which every well-formed one is allowed.
#[test]
fn a_malformed_name() {
    let probe = guest("probe");
    let long = format!("/{}", "n".repeat(4096));
    let mut lines = Vec::new();
    for kind in ["sem", "shm", "mq"] {
        for name in [
            "",
            "/",
            "//",
            "/.",
            "/..",
            "name",
            "//name",
            "/a/b",
            "/a/",
            "/../a",
            "/a/../b",
            "/./a",
            "/a\0",
            "/\0a",
            "/a\0/../b",
            "\0",
            &*long,
        ] {
            let name = escaped(name);
            lines.push(format!("o = {kind}.open {name}"));
            lines.push(format!("o = {kind}.open {name} create"));
            lines.push(format!("{kind}.unlink {name}"));
            lines.push(format!("o = {kind}.unique {name}/"));
        }
    }
    let (outcomes, _) = ask(&probe, &["--private"], &lines);
    for (line, outcome) in lines.iter().zip(&outcomes) {
        let expected = match line.contains("nnnn") && !line.contains("unique") {
            true => "error name-too-long",
            false => "error invalid",
        };
        assert!(
            outcome == expected || line.contains("unique") && outcome == "error name-too-long",
            "{line}: {outcome}"
        );
    }
}

/// The longest name of each kind works, and one more byte does not.
#[test]
fn a_name_one_byte_too_long() {
    let probe = guest("probe");
    for (kind, most, options) in [
        ("sem", 251, "value=1"),
        ("shm", 255, "size=1"),
        ("mq", 255, "limits=1x8"),
    ] {
        let names = Names::new();
        let start = names.name("");
        let name = |length: usize| names.name(&"n".repeat(length + 1 - start.len()));
        let grant = format!("--{kind}={},create", names.pattern());
        let open = |name: String| format!("o = {kind}.open {name} create {options}");
        let lines = [open(name(most)), open(name(most + 1))];
        let (outcomes, _) = ask(&probe, &[&grant], &lines);
        assert_eq!(outcomes, ["ok", "error name-too-long"], "{kind}");
    }
}

/// A name that is not even text does not get as far as this crate.
#[test]
fn a_name_that_is_no_text() {
    let probe = guest("probe");
    let ended = attack(&probe, &["--private"], &["no-text", "/name"]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(134), "asking\n"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("utf-8"), "{ended:?}");
}

/// The memory of the semaphore `/x` is the file `sem.x` beside the shared memory.
#[test]
fn a_semaphore_by_way_of_shared_memory() {
    let probe = guest("probe");
    let names = Names::new();
    let gate = names.name("gate");
    let mut native = Native::set_up(&[format!("s = sem.open {gate} create value=7")]);
    let file = format!("/sem.{}", &gate[1..]);
    let lines = [
        format!("m = shm.open {file}"),
        format!("m = shm.open {file} access=read"),
        format!("m = shm.open {file} create truncate"),
        format!("m = shm.open {file} create exclusive size=32"),
        format!("shm.unlink {file}"),
        "m = shm.unique /sem.".into(),
        // As the guest's own name of something that it was granted.
        "m = shm.open /sem.inside".into(),
    ];
    let grant = format!("--shm={},own", names.pattern());
    for flags in [&[][..], &["--private"], &[&grant]] {
        let (outcomes, _) = ask(&probe, flags, &lines);
        assert_eq!(outcomes, ["error invalid"; 7], "{flags:?}");
    }
    assert_eq!(native.run("sem.value s"), Ok("7".into()));
    for grant in [&*file, "/sem.*", "/frames::/sem.inside"] {
        let ended = attack(&probe, &["--shm", grant], &["invented", "0"]);
        assert_eq!(ended.code, Some(2), "{grant}: {ended:?}");
    }
}

/// Names that look alike to people, or to systems that fold case, are different ones.
#[test]
fn a_name_that_looks_like_a_granted_one() {
    let probe = guest("probe");
    let names = Names::new();
    let granted = names.name("app\u{e9}");
    let [upper, cyrillic, decomposed, wide, joined, blank] = [
        "App\u{e9}",
        "\u{430}pp\u{e9}",
        "appe\u{301}",
        "\u{ff41}pp\u{e9}",
        "a\u{200d}pp\u{e9}",
        "app\u{e9} ",
    ]
    .map(|stem| escaped(&names.name(stem)));
    let mut lines = Vec::new();
    for kind in ["sem", "shm", "mq"] {
        for name in [&upper, &cyrillic, &decomposed, &wide, &joined, &blank] {
            lines.push(format!("o = {kind}.open {name}"));
            lines.push(format!("o = {kind}.open {name} create"));
        }
        // This is the one.
        lines.push(format!("o = {kind}.open {granted}"));
    }
    let (outcomes, _) = ask(&probe, &refs(&all(&granted)), &lines);
    for (line, outcome) in lines.iter().zip(&outcomes) {
        let expected = match line.ends_with(&granted) {
            true => "error no-entry",
            false => "error not-permitted",
        };
        assert_eq!(outcome, expected, "{line}");
    }
}
