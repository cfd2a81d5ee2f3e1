//! What a grant allows and what it does not, through a guest that tries.

use crate::support::language::Line;
use crate::support::{Ended, Folder, Names, Native, Running, ask, exists, guest, run};
use std::collections::BTreeSet;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

// ---- every right and every operation -----------------------------------------------

/// An operation: the line, what it needs, and what comes out if that is granted.
type Row<'a> = (String, &'a [&'a str], &'a str);

/// What a word of a grant stands for. `own` and `foreign` say whose objects.
fn rights(word: &str) -> &'static [&'static str] {
    match word {
        "use" => &["wait", "post"],
        "wait" => &["wait"],
        "post" => &["post"],
        "rw" => &["read", "write"],
        "ro" => &["read"],
        "both" => &["recv", "send"],
        "recv" => &["recv"],
        "send" => &["send"],
        "open" => &[],
        "create" => &["create", "alter own"],
        "own" => &["create", "alter own", "alter foreign"],
        other => panic!("not a word of a grant: {other}"),
    }
}

/// Tries the rows with a grant for the names that start with `in.`, and compares what
/// comes out with what should.
fn try_rows(probe: &Path, kind: &str, words: [&str; 2], names: &Names, rows: &[Row<'_>]) {
    let [access, lifecycle] = words;
    let granted: BTreeSet<&str> = words.into_iter().flat_map(rights).copied().collect();
    let pattern = names.name("in.*");
    let flags = [
        &format!("--{kind}"),
        &*format!("{pattern},{access},{lifecycle}"),
    ];
    let lines: Vec<&String> = rows.iter().map(|(line, ..)| line).collect();
    let (outcomes, log) = ask(probe, &flags, &lines);

    let mut open = BTreeSet::new();
    let mut denials = 0;
    for ((line, needs, allowed), found) in rows.iter().zip(&outcomes) {
        let variable = Line::parse(line).variable;
        // What an operation is done with, if it is not a name.
        let words: Vec<&str> = line.split(' ').collect();
        let place = if words.get(1) == Some(&"=") { 3 } else { 1 };
        let operand = words.get(place).filter(|word| word.len() == 1);
        let expected = if operand.is_some_and(|operand| !open.contains(*operand)) {
            format!("error other Some(\"nothing in {}\")", operand.unwrap())
        } else if needs.iter().all(|right| granted.contains(right)) {
            (*allowed).into()
        } else {
            denials += 1;
            "error not-permitted".into()
        };
        assert_eq!(
            *found, expected,
            "{kind} {access},{lifecycle}: {line}\n{outcomes:#?}"
        );
        open.extend(variable.filter(|_| expected == "ok"));
    }
    assert_eq!(outcomes.len(), rows.len());
    // The log has a line for each denial, if not the same as before.
    assert!(
        log.iter()
            .all(|line| line.starts_with("posix-ipc: denied ")),
        "{log:#?}"
    );
    assert_eq!(log.is_empty(), denials == 0, "{log:#?}");
}

/// The objects that a guest finds: one inside of its grant and one outside.
fn foreign(names: &Names, create: &str) -> [String; 4] {
    let [inside, outside] = [names.name("in.foreign"), names.name("out")];
    for name in [&inside, &outside] {
        Native::set_up(&[create.replace("NAME", name)]);
    }
    [inside, outside, names.name("in.new"), names.name("nowhere")]
}

/// What is left: of the guest's own nothing, of others all but what it may unlink.
fn check_what_is_left(kind: &str, lifecycle: &str, names: &Names) {
    let [inside, outside] = [names.name("in.foreign"), names.name("out")];
    let mut expected = vec![format!("{kind}:{outside}")];
    if lifecycle != "own" {
        expected.insert(0, format!("{kind}:{inside}"));
    }
    assert_eq!(names.existing(), expected, "{kind} {lifecycle}");
}

#[test]
fn every_right_on_semaphores() {
    let probe = guest("probe");
    for access in ["use", "wait", "post"] {
        for lifecycle in ["open", "create", "own"] {
            let names = Names::new();
            let [inside, outside, new, nowhere] =
                foreign(&names, "s = sem.open NAME create mode=640 value=5");
            let value = format!("ok {}", 5 - if access == "post" { 0 } else { 3 });
            let named = format!("ok {inside}");
            let never: &[&str] = &["never"];
            let rows: &[Row<'_>] = &[
                (format!("s = sem.open {inside}"), &[], "ok"),
                ("sem.name s".into(), &[], &named),
                ("sem.mode s".into(), &[], "ok 0640"),
                ("sem.value s".into(), &[], "ok 5"),
                ("sem.ready s".into(), &["wait"], "ok true"),
                ("sem.try s".into(), &["wait"], "ok"),
                ("sem.acquire s".into(), &["wait"], "ok"),
                ("sem.acquire s timeout=0".into(), &["wait"], "ok"),
                ("sem.value s".into(), &[], &value),
                ("sem.release s".into(), &["post"], "ok"),
                (format!("t = sem.open {inside} create value=9"), &[], "ok"),
                (
                    format!("t = sem.open {inside} create exclusive"),
                    &["create"],
                    "error exists",
                ),
                (
                    format!("n = sem.open {new} create value=2"),
                    &["create"],
                    "ok",
                ),
                ("sem.value n".into(), &[], "ok 2"),
                ("sem.release n".into(), &["post"], "ok"),
                ("sem.try n".into(), &["wait"], "ok"),
                (
                    format!("t = sem.open {new}2 create exclusive"),
                    &["create"],
                    "ok",
                ),
                (format!("t = sem.unique {new}."), &["create"], "ok"),
                (format!("t = sem.unique {outside}."), never, ""),
                (format!("sem.unlink {new}"), &["alter own"], "ok"),
                (format!("sem.unlink {inside}"), &["alter foreign"], "ok"),
                (format!("o = sem.open {outside}"), never, ""),
                (format!("o = sem.open {outside} create"), never, ""),
                (format!("sem.unlink {outside}"), never, ""),
                (format!("o = sem.open {nowhere}"), never, ""),
                (format!("o = sem.open {nowhere} create"), never, ""),
                (
                    format!("o = sem.open {nowhere} create exclusive"),
                    never,
                    "",
                ),
                (format!("sem.unlink {nowhere}"), never, ""),
                (format!("o = shm.open {inside}"), never, ""),
                (format!("o = mq.open {inside}"), never, ""),
            ];
            try_rows(&probe, "sem", [access, lifecycle], &names, rows);
            check_what_is_left("sem", lifecycle, &names);
        }
    }
}

#[test]
fn every_right_on_shared_memory() {
    let probe = guest("probe");
    for access in ["rw", "ro"] {
        for lifecycle in ["open", "create", "own"] {
            let names = Names::new();
            let [inside, outside, new, nowhere] =
                foreign(&names, "m = shm.open NAME create mode=640 size=16");
            let named = format!("ok {inside}");
            let never: &[&str] = &["never"];
            let write: &[&str] = &["read", "write"];
            let make: &[&str] = &["read", "write", "create"];
            let resize_foreign: &[&str] = &["read", "write", "alter foreign"];
            let resize_own: &[&str] = &["read", "write", "alter own"];
            let remake: &[&str] = &["read", "write", "create", "alter own"];
            let rows: &[Row<'_>] = &[
                (
                    format!("r = shm.open {inside} access=read"),
                    &["read"],
                    "ok",
                ),
                (format!("w = shm.open {inside}"), write, "ok"),
                ("shm.name r".into(), &[], &named),
                ("shm.mode r".into(), &[], "ok 0640"),
                ("shm.size r".into(), &[], "ok 16"),
                ("shm.read r 12 8".into(), &[], r#"ok "\x00\x00\x00\x00""#),
                ("shm.word r u32 0 load".into(), &[], "ok 0"),
                ("shm.word r u64 8 load".into(), &[], "ok 0"),
                ("shm.wait r 0 1".into(), &[], "ok not-equal"),
                ("shm.write r 0 x".into(), &[], "error access"),
                ("shm.word r u32 0 add 1".into(), &[], "error access"),
                ("shm.word r u64 0 store 1".into(), &[], "error access"),
                (
                    "shm.word r u32 0 compare-exchange 0 1".into(),
                    &[],
                    "error access",
                ),
                ("shm.notify r 0 1".into(), &[], "error access"),
                ("shm.resize r 8".into(), &[], "error access"),
                (
                    format!("t = shm.open {inside} access=read size=8"),
                    &["read"],
                    "error access",
                ),
                (
                    format!("t = shm.open {inside} access=read truncate"),
                    &["read"],
                    "error access",
                ),
                ("shm.size r".into(), &[], "ok 16"),
                ("shm.write w 0 data".into(), write, "ok"),
                ("shm.word w u32 4 add 7".into(), write, "ok 0"),
                ("shm.notify w 0 1".into(), write, "ok 0"),
                // To leave the size as it is takes no right.
                ("shm.resize w 16".into(), write, "ok"),
                (format!("t = shm.open {inside} size=16"), write, "ok"),
                ("shm.resize w 20".into(), resize_foreign, "ok"),
                ("shm.resize w 12".into(), resize_foreign, "ok"),
                (
                    format!("t = shm.open {inside} size=8"),
                    resize_foreign,
                    "ok",
                ),
                (
                    format!("t = shm.open {inside} create size=10"),
                    resize_foreign,
                    "ok",
                ),
                (
                    format!("t = shm.open {inside} truncate"),
                    resize_foreign,
                    "ok",
                ),
                (
                    format!("t = shm.open {inside} create access=read"),
                    &["read"],
                    "ok",
                ),
                (
                    format!("t = shm.open {inside} create exclusive"),
                    make,
                    "error exists",
                ),
                (format!("n = shm.open {new} create size=8"), make, "ok"),
                ("shm.resize n 16".into(), resize_own, "ok"),
                // What cannot have been created is not there to be opened.
                (format!("t = shm.open {new} create truncate"), remake, "ok"),
                (format!("t = shm.open {new} create size=24"), remake, "ok"),
                ("shm.size n".into(), &[], "ok 24"),
                (
                    format!("c = shm.open {new}2 create access=read size=8"),
                    &["read", "create"],
                    "ok",
                ),
                ("shm.size c".into(), &[], "ok 8"),
                ("shm.resize c 4".into(), &[], "error access"),
                (format!("t = shm.unique {new}. size=8"), make, "ok"),
                (format!("t = shm.unique {outside}. size=8"), never, ""),
                (format!("shm.unlink {new}2"), &["alter own"], "ok"),
                (format!("shm.unlink {inside}"), &["alter foreign"], "ok"),
                (format!("o = shm.open {outside} access=read"), never, ""),
                (format!("o = shm.open {outside} create truncate"), never, ""),
                (format!("shm.unlink {outside}"), never, ""),
                (format!("o = shm.open {nowhere} access=read"), never, ""),
                (format!("o = shm.open {nowhere} create size=8"), never, ""),
                (
                    format!("o = shm.open {nowhere} create exclusive"),
                    never,
                    "",
                ),
                (format!("shm.unlink {nowhere}"), never, ""),
                (format!("o = sem.open {inside}"), never, ""),
                (format!("o = mq.open {inside}"), never, ""),
            ];
            try_rows(&probe, "shm", [access, lifecycle], &names, rows);
            check_what_is_left("shm", lifecycle, &names);
            let about = Native::set_up(&[format!("m = shm.open {outside}")]).run("shm.size m");
            assert_eq!(about, Ok("16".into()));
        }
    }
}

#[test]
fn a_size_that_is_denied_stays() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("foreign");
    let mut native = Native::set_up(&[
        format!("m = shm.open {name} create size=16"),
        "shm.write m 0 0123456789abcdef".into(),
    ]);
    let lines = [
        format!("m = shm.open {name}"),
        "shm.resize m 8".into(),
        "shm.resize m 0".into(),
        "shm.resize m 4096".into(),
        format!("n = shm.open {name} truncate"),
        format!("n = shm.open {name} size=3"),
        format!("n = shm.open {name} create truncate size=16"),
        format!("shm.unlink {name}"),
    ];
    let (outcomes, _) = ask(&probe, &["--shm", &format!("{name},rw,create")], &lines);
    let denied = "error not-permitted";
    assert_eq!(
        outcomes,
        ["ok", denied, denied, denied, denied, denied, denied, denied]
    );
    assert_eq!(
        native.run("shm.read m 0 99"),
        Ok("\"0123456789abcdef\"".into())
    );
    assert!(exists("shm", &name));
}

#[test]
fn every_right_on_queues() {
    let probe = guest("probe");
    for (access, direction) in [("both", "both"), ("recv", "read"), ("send", "write")] {
        for lifecycle in ["open", "create", "own"] {
            let names = Names::new();
            let [inside, outside, new, nowhere] =
                foreign(&names, "q = mq.open NAME create mode=640 limits=8x16");
            let native = format!("q = mq.open {inside}");
            Native::set_up(&[
                native,
                "mq.send q first:1".into(),
                "mq.send q second:1".into(),
            ]);
            let named = format!("ok {inside}");
            let never: &[&str] = &["never"];
            let both: &[&str] = &["recv", "send"];
            let make: &[&str] = &["recv", "send", "create"];
            let rows: &[Row<'_>] = &[
                (format!("r = mq.open {inside} access=read"), &["recv"], "ok"),
                (
                    format!("w = mq.open {inside} access=write"),
                    &["send"],
                    "ok",
                ),
                (format!("b = mq.open {inside}"), both, "ok"),
                ("mq.name r".into(), &[], &named),
                ("mq.name w".into(), &[], &named),
                ("mq.mode r".into(), &[], "ok 0640"),
                (
                    "mq.attributes r".into(),
                    &[],
                    "ok 2 of 8 messages of 16 bytes",
                ),
                (
                    "mq.attributes w".into(),
                    &[],
                    "ok 2 of 8 messages of 16 bytes",
                ),
                ("mq.readable r".into(), &[], "ok true"),
                ("mq.writable r".into(), &[], "error access"),
                ("mq.writable w".into(), &[], "ok true"),
                ("mq.readable w".into(), &[], "error access"),
                ("n = mq.notify w".into(), &[], "error access"),
                ("mq.receive w timeout=0".into(), &[], "error access"),
                ("mq.receive-batch w 9 timeout=0".into(), &[], "error access"),
                ("mq.receive r timeout=0".into(), &[], "ok \"first\":1"),
                ("mq.receive-batch r 9".into(), &[], "ok \"second\":1"),
                ("mq.send r x:0 timeout=0".into(), &[], "error access"),
                ("mq.send-batch r x:0 timeout=0".into(), &[], "error access"),
                ("mq.send w x:0 timeout=0".into(), &[], "ok"),
                (
                    "mq.send-batch w x:0 y:0 timeout=0".into(),
                    &["send"],
                    "ok 2",
                ),
                ("mq.receive b timeout=0".into(), &[], "ok \"x\":0"),
                ("mq.send b x:0 timeout=0".into(), &[], "ok"),
                (
                    format!("t = mq.open {inside} create access=read"),
                    &["recv"],
                    "ok",
                ),
                (
                    format!("t = mq.open {inside} create exclusive"),
                    make,
                    "error exists",
                ),
                (
                    format!("n = mq.open {new} create access={direction} limits=2x8"),
                    &["create"],
                    "ok",
                ),
                (
                    "mq.attributes n".into(),
                    &[],
                    "ok 0 of 2 messages of 8 bytes",
                ),
                (format!("t = mq.unique {new}. limits=1x8"), make, "ok"),
                (format!("t = mq.unique {outside}. limits=1x8"), never, ""),
                (format!("mq.unlink {new}"), &["alter own"], "ok"),
                (format!("mq.unlink {inside}"), &["alter foreign"], "ok"),
                (format!("o = mq.open {outside} access=read"), never, ""),
                (
                    format!("o = mq.open {outside} access=write create"),
                    never,
                    "",
                ),
                (format!("mq.unlink {outside}"), never, ""),
                (format!("o = mq.open {nowhere} access=read"), never, ""),
                (
                    format!("o = mq.open {nowhere} create limits=1x8"),
                    never,
                    "",
                ),
                (
                    format!("o = mq.open {nowhere} create exclusive limits=1x8"),
                    never,
                    "",
                ),
                (format!("mq.unlink {nowhere}"), never, ""),
                (format!("o = sem.open {inside}"), never, ""),
                (format!("o = shm.open {inside}"), never, ""),
            ];
            try_rows(&probe, "mq", [access, lifecycle], &names, rows);
            check_what_is_left("mq", lifecycle, &names);
        }
    }
}

// ---- what the log says -------------------------------------------------------------

#[test]
fn a_denial_says_exactly_what_would_help() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("x");
    let open = [
        format!("s = sem.open {name} create"),
        format!("m = shm.open {name} create size=8"),
        format!("q = mq.open {name} create limits=1x8"),
    ];
    let _native = Native::set_up(&open);
    // The grant, what the guest does, and the line, with X for the name.
    for (grant, lines, log) in [
        (
            "",
            "s = sem.open X",
            "sem:X (wait, post): not granted; add --sem X,use",
        ),
        (
            "",
            "sem.unlink X",
            "sem:X (unlink): not granted; add --sem X,wait,own",
        ),
        (
            "sem X,wait",
            "s = sem.open X|sem.release s",
            "sem:X (post): granted for wait only; use --sem X,use",
        ),
        (
            "sem X,post",
            "s = sem.open X|sem.try s",
            "sem:X (wait): granted for post only; use --sem X,use",
        ),
        (
            "sem X,post",
            "s = sem.open X|sem.acquire s",
            "sem:X (wait): granted for post only; use --sem X,use",
        ),
        (
            "sem X",
            "s = sem.open X create exclusive",
            "sem:X (create): granted without create; use --sem X,create",
        ),
        (
            "sem X,create",
            "sem.unlink X",
            "sem:X (unlink): granted without unlink of what others created; use --sem X,own",
        ),
        (
            "",
            "m = shm.open X access=read",
            "shm:X (read): not granted; add --shm X,ro",
        ),
        (
            "shm X,ro",
            "m = shm.open X",
            "shm:X (read, write): granted for ro only; use --shm X,rw",
        ),
        (
            "shm X",
            "m = shm.open X size=9",
            "shm:X (resize): granted without resize; use --shm X,own",
        ),
        (
            "shm X,create",
            "m = shm.open X truncate",
            "shm:X (resize): granted without resize of what others created; use --shm X,own",
        ),
        (
            "shm X.*,ro",
            "m = shm.open X.y create",
            "shm:X.y (read, write, create): granted for ro only, without create as X.*; add --shm X.y,rw,create",
        ),
        (
            "",
            "q = mq.open X access=write",
            "mq:X (send): not granted; add --mq X,send",
        ),
        (
            "mq X,recv",
            "q = mq.open X",
            "mq:X (recv, send): granted for recv only; use --mq X,both",
        ),
        (
            "mq X::/in,send",
            "q = mq.open /in access=read",
            "mq:/in (recv): granted for send only; use --mq X::/in,both",
        ),
        (
            "mq X::/in,recv",
            "q = mq.open X access=read",
            "mq:X (recv): not granted; add --mq X,recv",
        ),
        (
            "mq X",
            "mq.unlink X",
            "mq:X (unlink): granted without unlink; use --mq X,own",
        ),
        (
            "sem X",
            "m = shm.open X",
            "shm:X (read, write): not granted; add --shm X,rw",
        ),
    ] {
        let filled = |text: &str| text.replace('X', &name);
        let lines: Vec<String> = lines.split('|').map(filled).collect();
        let grant = grant
            .split_once(' ')
            .map(|(k, g)| [format!("--{k}"), filled(g)]);
        let flags: Vec<&str> = grant.iter().flatten().map(String::as_str).collect();
        let (outcomes, found) = ask(&probe, &flags, &lines);
        assert_eq!(
            outcomes.last().unwrap(),
            "error not-permitted",
            "{flags:?} {lines:?}"
        );
        assert_eq!(
            found,
            [format!("posix-ipc: denied {}", filled(log))],
            "{flags:?}"
        );
    }
}

/// Whoever does what the log says gets through, with one more grant or a wider one.
#[test]
fn what_a_denial_suggests_is_enough() {
    let probe = guest("probe");
    let names = Names::new();
    let [name, new] = ["x", "new"].map(|stem| names.name(stem));
    let _native = Native::set_up(&[
        format!("s = sem.open {name} create value=1"),
        format!("m = shm.open {name} create size=8"),
        format!("q = mq.open {name} create limits=1x8"),
    ]);
    for lines in [
        format!("s = sem.open {name}|sem.try s|sem.release s|sem.unlink {name}"),
        format!("m = shm.open {name} size=4|shm.unlink {name}"),
        format!("m = shm.open {new} create size=8|shm.resize m 4|shm.unlink {new}"),
        format!("q = mq.open {name}|mq.send q x:0|mq.receive q|mq.unlink {name}"),
        format!("q = mq.open {new} create limits=1x8|mq.send q x:0"),
    ] {
        let lines: Vec<&str> = lines.split('|').collect();
        let mut grants: Vec<String> = Vec::new();
        let mut tries = 0;
        loop {
            tries += 1;
            assert!(tries < 9, "{grants:?}");
            let flags: Vec<&str> = grants.iter().map(String::as_str).collect();
            let arguments = [&["must"], &lines[..]].concat();
            let ended = Ended::of(&mut run(&flags, &probe, &arguments));
            let Some((_, advice)) = ended.stderr.trim().rsplit_once("; ") else {
                assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
                break;
            };
            let (verb, flag) = advice.split_once(' ').unwrap();
            if verb == "use" {
                grants.clear();
            }
            grants.extend(flag.split(' ').map(String::from));
        }
        assert!(tries > 1);
    }
}

#[test]
fn the_log_is_not_flooded() {
    let probe = guest("probe");
    let mut lines: Vec<String> = (0..500)
        .map(|n| format!("s = sem.open /posix-ipc-test.{n}"))
        .collect();
    lines.splice(0..0, vec!["s = sem.open /posix-ipc-test.again".into(); 50]);
    let (outcomes, log) = ask(&probe, &[], &lines);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome == "error not-permitted")
    );
    assert_eq!(log.len(), 101);
    assert_eq!(
        log[100],
        "posix-ipc: 100 different uses denied; later ones are not logged"
    );
    let again = log
        .iter()
        .filter(|line| line.contains("/posix-ipc-test.again "));
    assert_eq!(again.count(), 1);
}

// ---- names -------------------------------------------------------------------------

#[test]
fn a_renamed_object_has_only_the_guests_name() {
    let probe = guest("probe");
    for (kind, create) in [
        ("sem", "o = sem.open NAME create value=3"),
        ("shm", "o = shm.open NAME create size=3"),
        ("mq", "o = mq.open NAME create limits=1x8"),
    ] {
        let names = Names::new();
        let name = names.name("host");
        let _native = Native::set_up(&[create.replace("NAME", &name)]);
        let lines = [
            format!("o = {kind}.open /guest"),
            format!("{kind}.name o"),
            format!("p = {kind}.open {name}"),
            format!("p = {kind}.open {name} create"),
            format!("{kind}.unlink {name}"),
            format!("{kind}.unlink /guest"),
            format!("o = {kind}.open /guest"),
            create.replace("NAME", "/guest"),
            format!("{kind}.name o"),
        ];
        let grant = format!("{name}::/guest,own");
        let flags = [&*format!("--{kind}"), &grant];
        let (outcomes, _) = ask(&probe, &flags, &lines);
        let denied = "error not-permitted";
        assert_eq!(
            outcomes,
            [
                "ok",
                "ok /guest",
                denied,
                denied,
                denied,
                "ok",
                "error no-entry",
                "ok",
                "ok /guest"
            ]
        );
        assert!(!exists(kind, "/guest"), "{kind}");

        // What it creates has the host's name for the others.
        let mut running = Running::guest(&flags, &probe);
        assert_eq!(running.tell(&create.replace("NAME", "/guest")), "ok");
        assert!(exists(kind, &name) && !exists(kind, "/guest"), "{kind}");
        running.end();
        assert!(!exists(kind, &name), "{kind}");
    }
}

#[test]
fn a_prefix_is_for_no_more_than_it_says() {
    let probe = guest("probe");
    let names = Names::new();
    let prefix = names.name("a");
    let mut lines = Vec::new();
    for kind in ["sem", "shm", "mq"] {
        for name in ["", ".", ".x", "..", ".x.y", "x", "b.x", "-x", "_x", ".*"] {
            lines.push(format!("o = {kind}.open {prefix}{name}"));
        }
    }
    let grant = format!("{prefix}.*");
    let (outcomes, _) = ask(
        &probe,
        &["--sem", &grant, "--shm", &grant, "--mq", &grant],
        &lines,
    );
    let (denied, there) = ("error not-permitted", "error no-entry");
    let one = [
        denied, denied, there, there, there, denied, denied, denied, denied, there,
    ];
    assert_eq!(outcomes, [one, one, one].concat());
}

#[test]
fn the_closest_grant_counts() {
    let probe = guest("probe");
    let names = Names::new();
    let [wide, narrow, exact] = ["a.", "a.b.", "a.b.c"].map(|stem| names.name(stem));
    let _native = Native::set_up(&[
        format!("s = sem.open {wide}x create value=1"),
        format!("s = sem.open {narrow}x create value=1"),
        format!("s = sem.open {exact} create value=1"),
    ]);
    let [wide_grant, narrow_grant, exact_grant] = [
        format!("{wide}*,wait"),
        format!("{narrow}*,post"),
        format!("{exact},use"),
    ];
    let grants = [&wide_grant, &narrow_grant, &exact_grant];
    for order in [[0, 1, 2], [2, 1, 0]] {
        let flags: Vec<&str> = order.iter().flat_map(|&at| ["--sem", grants[at]]).collect();
        let lines = [
            format!("s = sem.open {wide}x"),
            "sem.try s".into(),
            "sem.release s".into(),
            format!("s = sem.open {narrow}x"),
            "sem.try s".into(),
            "sem.release s".into(),
            format!("s = sem.open {exact}"),
            "sem.try s".into(),
            "sem.release s".into(),
        ];
        let (outcomes, _) = ask(&probe, &flags, &lines);
        let denied = "error not-permitted";
        assert_eq!(
            outcomes,
            ["ok", "ok", denied, "ok", denied, "ok", "ok", "ok", "ok"]
        );
        Native::set_up(&[format!("s = sem.open {wide}x"), "sem.release s".into()]);
    }
}

#[test]
fn unique_names_are_in_the_prefix_and_differ() {
    let probe = guest("probe");
    for (kind, options) in [("sem", "value=1"), ("shm", "size=4"), ("mq", "limits=1x8")] {
        let names = Names::new();
        let prefix = names.name("job.");
        let mut lines = Vec::new();
        for variable in ["a", "b", "c"] {
            lines.push(format!("{variable} = {kind}.unique {prefix} {options}"));
            lines.push(format!("{kind}.name {variable}"));
        }
        for outside in ["job", "jobs.", "other."] {
            lines.push(format!(
                "d = {kind}.unique {} {options}",
                names.name(outside)
            ));
        }
        lines.push(format!("d = {kind}.unique /posix-ipc-test. {options}"));
        lines.push(format!("d = {kind}.unique posix-ipc-test. {options}"));
        lines.push(format!("d = {kind}.unique '' {options}"));
        lines.push(format!("d = {kind}.unique {prefix}/x {options}"));

        let flags = [&*format!("--{kind}"), &*format!("{prefix}*,create")];
        let mut running = Running::guest(&flags, &probe);
        let outcomes: Vec<String> = lines.iter().map(|line| running.tell(line)).collect();
        let unique: BTreeSet<&str> = [1, 3, 5].iter().map(|&at| &outcomes[at][3..]).collect();
        assert_eq!(unique.len(), 3, "{outcomes:?}");
        for name in unique {
            assert!(exists(kind, name), "{name}");
            let word = name.strip_prefix(&prefix).unwrap();
            assert!(word.len() >= 16, "{word}");
            assert!(
                word.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
                "{word}"
            );
            if kind == "mq" {
                names.adopt(name.into());
            }
        }
        assert_eq!(names.existing().len(), 3, "{:?}", names.existing());
        let (denied, invalid) = ("error not-permitted", "error invalid");
        let others = [denied, denied, denied, denied, invalid, invalid, invalid];
        assert_eq!(outcomes[6..], others);
        assert_eq!(running.end().code, Some(0));
        assert_eq!(names.existing(), [""; 0]);
    }
}

// ---- whose objects -----------------------------------------------------------------

/// With the same name it is another object, and not the guest's.
#[test]
fn what_a_peer_has_put_in_the_place_of_the_guests_own_is_foreign() {
    let probe = guest("probe");
    for (kind, create) in [
        ("sem", "o = sem.open NAME create value=3"),
        ("shm", "o = shm.open NAME create size=8"),
        ("mq", "o = mq.open NAME create limits=1x8"),
    ] {
        let names = Names::new();
        let name = names.name("contested");
        let create = create.replace("NAME", &name);
        let grant = format!("{name},create");
        let mut running = Running::guest(&[&format!("--{kind}"), &grant], &probe);
        assert_eq!(running.tell(&create), "ok");
        let mut native = Native::default();
        native.run(&format!("{kind}.unlink {name}")).unwrap();
        native.run(&create).unwrap();

        let denied = "error not-permitted";
        assert_eq!(running.tell(&format!("{kind}.unlink {name}")), denied);
        if kind == "shm" {
            assert_eq!(
                running.tell(&format!("p = shm.open {name} truncate")),
                denied
            );
            assert_eq!(running.tell(&format!("p = shm.open {name} size=4")), denied);
            assert_eq!(running.tell(&format!("p = shm.open {name}")), "ok");
            assert_eq!(running.tell("shm.resize p 4"), denied);
            // The first one is still open, and still its own.
            assert_eq!(running.tell("shm.resize o 4"), "ok");
            assert_eq!(native.run("shm.size o"), Ok("8".into()));
        }
        assert_eq!(running.end().code, Some(0));
        assert!(exists(kind, &name), "{kind}");
    }
}

#[test]
fn what_a_guest_creates_goes_with_it_unless_its_grant_says_keep() {
    let probe = guest("probe");
    for (kind, create) in [
        ("sem", "o = sem.open NAME create value=3"),
        ("shm", "o = shm.open NAME create size=8"),
        ("mq", "o = mq.open NAME create limits=1x8"),
    ] {
        let names = Names::new();
        let [gone, kept, foreign] = ["gone", "kept", "foreign"].map(|stem| names.name(stem));
        let _native = Native::set_up(&[create.replace("NAME", &foreign)]);
        let lines = [&gone, &kept, &foreign].map(|name| create.replace("NAME", name));
        let flag = format!("--{kind}");
        let [gone, kept, all] = [
            format!("{gone},create"),
            format!("{kept},create,keep"),
            format!("{foreign},own"),
        ];
        let flags = [&*flag, &gone, &flag, &kept, &flag, &all];
        assert_eq!(ask(&probe, &flags, &lines).0, ["ok"; 3]);
        let left = ["foreign", "kept"].map(|stem| format!("{kind}:{}", names.name(stem)));
        assert_eq!(names.existing(), left);
    }
}

// ---- limits ------------------------------------------------------------------------

#[test]
fn max_limits_how_many_objects_exist() {
    let probe = guest("probe");
    for (kind, options) in [("sem", "value=1"), ("shm", "size=4"), ("mq", "limits=1x8")] {
        let names = Names::new();
        let prefix = names.name("a.");
        let other = names.name("b.");
        let create = |variable: &str, name: &str| {
            format!("{variable} = {kind}.open {name} create {options}")
        };
        let [one, two, three] = ["1", "2", "3"].map(|number| format!("{prefix}{number}"));
        let lines = [
            create("a", &one),
            create("b", &two),
            create("c", &three),
            format!("c = {kind}.unique {prefix} {options}"),
            // Not of this grant.
            create("d", &format!("{other}1")),
            // What exists is no new object.
            create("c", &two),
            // Gone only when it is closed as well.
            format!("{kind}.unlink {one}"),
            create("c", &three),
            "close a".into(),
            create("c", &three),
            create("e", &one),
        ];
        let flags = [
            &*format!("--{kind}"),
            &*format!("{prefix}*,create,max=2"),
            &*format!("--{kind}"),
            &*format!("{other}*,create,max=1"),
        ];
        let (outcomes, log) = ask(&probe, &flags, &lines);
        let quota = "error quota";
        assert_eq!(
            outcomes,
            [
                "ok", "ok", quota, quota, "ok", "ok", "ok", quota, "ok", "ok", quota
            ],
            "{kind}"
        );
        assert_eq!(log.len(), 1, "once is enough: {log:#?}");
        let words = format!("posix-ipc: the limit of 2 objects of {prefix}* does not allow 1 more");
        assert!(log[0].starts_with(&words), "{log:#?}");
        assert_eq!(names.existing(), [""; 0]);
    }
}

#[test]
fn max_size_limits_every_way_to_a_size() {
    let probe = guest("probe");
    let names = Names::new();
    let [own, other, foreign] = ["own", "other", "foreign"].map(|stem| names.name(stem));
    let mut native = Native::set_up(&[format!("m = shm.open {foreign} create size=100")]);
    let pattern = names.pattern();
    let lines = [
        format!("m = shm.open {own} create size=65"),
        format!("m = shm.open {own}"),
        format!("m = shm.open {own} create size=64"),
        "shm.resize m 65".into(),
        "shm.resize m max64".into(),
        "shm.resize m 9223372036854775807".into(),
        "shm.resize m 0".into(),
        "shm.resize m 64".into(),
        format!("n = shm.open {own} size=65"),
        format!("n = shm.open {own} create truncate size=65"),
        format!("n = shm.unique {other}. size=65"),
        format!("n = shm.unique {other}. size=64"),
        format!("n = shm.open {foreign} size=101"),
        format!("n = shm.open {foreign} size=99"),
        format!("n = shm.open {foreign} size=64"),
    ];
    let (outcomes, log) = ask(
        &probe,
        &["--shm", &format!("{pattern},own,max-size=64B")],
        &lines,
    );
    let quota = "error quota";
    assert_eq!(
        outcomes,
        [
            quota,
            "error no-entry",
            "ok",
            quota,
            "error invalid",
            quota,
            "ok",
            "ok",
            quota,
            quota,
            quota,
            "ok",
            quota,
            quota,
            "ok"
        ]
    );
    assert_eq!(
        log[0],
        format!(
            "posix-ipc: the grant's max-size=64B does not allow shm:{own} with 65B; \
             raise it in the grant"
        )
    );
    assert_eq!(native.run("shm.size m"), Ok("64".into()));
    assert_eq!(names.existing(), [format!("shm:{foreign}")]);
}

#[test]
fn limits_of_queues_are_for_new_ones() {
    let probe = guest("probe");
    let names = Names::new();
    let [new, foreign] = ["new", "foreign"].map(|stem| names.name(stem));
    let _native = Native::set_up(&[format!("q = mq.open {foreign} create limits=8x64")]);
    let grant = format!("{},create,max-msgs=4,max-msg-size=32B", names.pattern());
    let lines = [
        format!("q = mq.open {new} create limits=5x32"),
        format!("q = mq.open {new} create limits=4x33"),
        format!("q = mq.unique {new}. limits=5x1"),
        // The system's default is more than that.
        format!("q = mq.open {new} create"),
        format!("q = mq.open {new}"),
        format!("q = mq.open {new} create limits=4x32"),
        "mq.attributes q".into(),
        // One that exists is as it is.
        format!("q = mq.open {foreign} create limits=9x99"),
        "mq.attributes q".into(),
    ];
    let (outcomes, log) = ask(&probe, &["--mq", &grant], &lines);
    let quota = "error quota";
    assert_eq!(
        outcomes,
        [
            quota,
            quota,
            quota,
            quota,
            "error no-entry",
            "ok",
            "ok 0 of 4 messages of 32 bytes",
            "ok",
            "ok 0 of 8 messages of 64 bytes"
        ]
    );
    assert_eq!(
        log[..2],
        [("max-msgs=4", "5"), ("max-msg-size=32B", "33B")].map(|(limit, asked)| format!(
            "posix-ipc: the grant's {limit} does not allow mq:{new} with {asked}; \
             raise it in the grant"
        ))
    );
    assert_eq!(names.existing(), [format!("mq:{foreign}")]);
}

// ---- a namespace of the guest's own ------------------------------------------------

const PRIVATE: [&str; 6] = [
    "s = sem.open /posix-ipc-test create exclusive value=3",
    "m = shm.open /posix-ipc-test create exclusive size=4",
    "q = mq.open /posix-ipc-test create exclusive limits=2x8",
    "t = sem.unique /posix-ipc-test. value=1",
    "n = shm.unique /posix-ipc-test. size=4",
    "r = mq.unique /posix-ipc-test. limits=1x8",
];

#[test]
fn a_private_namespace_is_invisible_and_gone_at_the_end() {
    let probe = guest("probe");
    let files = |prefix: &str| {
        let files = std::fs::read_dir("/dev/shm").unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let of_object = |name: &String| {
            name.strip_prefix("sem.")
                .unwrap_or(name)
                .starts_with(prefix)
        };
        names.filter(of_object).count()
    };
    // Nobody can know the names, but a process that has a semaphore open shows which file
    // it is.
    let prefix = |pid: u32| {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let mapped: Vec<u64> = maps
            .lines()
            .filter(|line| line.contains("/dev/shm/"))
            .filter_map(|line| line.split_ascii_whitespace().nth(4)?.parse().ok())
            .collect();
        let name = std::fs::read_dir("/dev/shm")
            .unwrap()
            .filter_map(Result::ok)
            .filter(|file| mapped.contains(&file.ino()))
            .find_map(|file| Some(file.file_name().to_str()?.strip_prefix("sem.")?.to_owned()))
            .expect("a semaphore is open");
        let end = name
            .find("posix-ipc-test")
            .expect("it ends in the guest's name");
        name[..end].to_owned()
    };
    let mut running = Running::guest(&["--private"], &probe);
    for line in PRIVATE {
        assert_eq!(running.tell(line), "ok", "{line}");
    }
    assert_eq!(running.tell("sem.name s"), "ok /posix-ipc-test");
    assert_eq!(running.tell("shm.name m"), "ok /posix-ipc-test");
    assert_eq!(running.tell("mq.name q"), "ok /posix-ipc-test");
    assert!(
        running
            .tell("sem.name t")
            .starts_with("ok /posix-ipc-test.")
    );
    for kind in ["sem", "shm", "mq"] {
        assert!(!exists(kind, "/posix-ipc-test"), "{kind}");
    }
    assert_eq!(running.tell("shm.write m 0 data"), "ok");
    let prefix = prefix(running.id());
    assert_eq!(files(&prefix), 4);
    let queue = format!("/{prefix}posix-ipc-test");
    assert!(exists("mq", &queue));

    // Another guest with the same names meets nobody.
    let mut other = Running::guest(&["--private"], &probe);
    for line in PRIVATE {
        assert_eq!(other.tell(line), "ok", "{line}");
    }
    assert_eq!(other.tell("sem.try s"), "ok");
    assert_eq!(other.tell("mq.send q x:0"), "ok");
    assert_eq!(other.tell("shm.write m 0 othr"), "ok");
    assert_eq!(running.tell("sem.value s"), "ok 3");
    assert_eq!(running.tell("mq.receive q timeout=0"), "error busy");
    assert_eq!(running.tell("shm.read m 0 4"), "ok \"data\"");
    assert_eq!(other.tell("sem.unlink /posix-ipc-test"), "ok");
    assert_eq!(running.tell("u = sem.open /posix-ipc-test"), "ok");
    assert_eq!(other.end().code, Some(0));

    assert_eq!(running.tell("sem.value u"), "ok 3");
    assert_eq!(running.end().code, Some(0));
    assert_eq!(files(&prefix), 0);
    assert!(!exists("mq", &queue));
}

#[test]
fn a_private_namespace_reaches_nothing_of_the_machine() {
    let probe = guest("probe");
    let names = Names::new();
    let name = names.name("real");
    let _native = Native::set_up(&[
        format!("s = sem.open {name} create value=3"),
        format!("m = shm.open {name} create size=4"),
        format!("q = mq.open {name} create limits=1x8"),
    ]);
    let mut lines = Vec::new();
    for kind in ["sem", "shm", "mq"] {
        lines.push(format!("o = {kind}.open {name}"));
        lines.push(format!("{kind}.unlink {name}"));
        lines.push(format!("o = {kind}.open /../{}", &name[1..]));
        lines.push(format!("o = {kind}.open /.{name}"));
    }
    lines.push(format!("o = shm.open /sem.{}", &name[1..]));
    let (outcomes, log) = ask(&probe, &["--private"], &lines);
    let one = [
        "error no-entry",
        "error no-entry",
        "error invalid",
        "error invalid",
    ];
    assert_eq!(outcomes[..12], [one, one, one].concat());
    assert_eq!(outcomes[12], "error invalid");
    assert_eq!(log, [""; 0]);
    assert_eq!(names.existing().len(), 3);
}

// ---- a manifest --------------------------------------------------------------------

#[test]
fn a_manifest_grants_what_flags_grant() {
    let probe = guest("probe");
    let names = Names::new();
    let [gate, frames, jobs] = ["gate", "frames", "jobs"].map(|stem| names.name(stem));
    let odd = names.name("odd,create::x");
    let _native = Native::set_up(&[
        format!("s = sem.open {gate} create value=1"),
        format!("q = mq.open {jobs} create limits=1x8"),
        format!("q = mq.open {odd} create limits=1x8"),
        "mq.send q x:0".into(),
    ]);
    let folder = Folder::new();
    let manifest = folder.file(
        "grants.toml",
        format!(
            r#"
            [[sem]]
            name = "{gate}"
            access = "wait"

            [[shm]]
            name = "{frames}.*"
            lifecycle = "create"
            max = 1
            max-size = "1KiB"

            [[mq]]
            name = "{jobs}"
            guest = "/in"
            access = "send"

            # A name that no flag can have.
            [[mq]]
            name = "{odd}"
            access = "recv"

            [quota]
            handles = 4
            "#
        ),
    );
    let manifest = manifest.to_str().unwrap();
    let lines = [
        format!("s = sem.open {gate}"),
        "sem.try s".into(),
        "sem.release s".into(),
        format!("m = shm.open {frames}.1 create size=1024"),
        "shm.resize m 1025".into(),
        format!("n = shm.open {frames}.2 create"),
        "q = mq.open /in access=write".into(),
        "mq.send q x:0 timeout=0".into(),
        format!("r = mq.open {jobs} access=write"),
        format!("o = mq.open {odd} access=read"),
        "mq.receive o timeout=0".into(),
        format!("t = sem.open {gate}"),
        "close q".into(),
        format!("t = sem.open {gate}"),
        format!("m = shm.open {jobs} create size=4"),
    ];
    let (outcomes, _) = ask(&probe, &["--manifest", manifest], &lines);
    let (denied, quota) = ("error not-permitted", "error quota");
    let granted = [
        "ok",
        "ok",
        denied,
        "ok",
        quota,
        quota,
        "ok",
        "ok",
        denied,
        "ok",
        "ok \"x\":0",
        quota,
        "ok",
        "ok",
        denied,
    ];
    assert_eq!(outcomes, granted);

    // Flags add to it, and their limits count.
    let _native = Native::set_up(&[
        format!("q = mq.open {jobs}"),
        "mq.receive q timeout=0".into(),
        format!("q = mq.open {odd}"),
        "mq.send q x:0 timeout=0".into(),
        format!("s = sem.open {gate}"),
        "sem.release s".into(),
    ]);
    let more = format!("{jobs},create");
    let flags = ["--manifest", manifest, "--shm", &more, "--max-handles", "9"];
    let (outcomes, _) = ask(&probe, &flags, &lines);
    assert_eq!((&*outcomes[11], &*outcomes[14]), ("ok", "ok"));
}

#[test]
fn a_manifest_and_flags_do_not_contradict_each_other() {
    let probe = guest("probe");
    let folder = Folder::new();
    let manifest = folder.file("grants.toml", "[[mq]]\nname = \"/a\"\n");
    let manifest = manifest.to_str().unwrap();
    let wrong = folder.file("wrong.toml", "[[mq]]\nname = \"/a\"\nacess = \"recv\"\n");
    let wrong = wrong.to_str().unwrap();
    for (flags, words) in [
        (
            &["--manifest", manifest, "--mq", "/a,recv"][..],
            "mq:/a is granted twice; write one grant",
        ),
        (
            &["--manifest", manifest, "--private"],
            "take them out of the manifest",
        ),
        (&["--manifest", wrong], "unknown field `acess`"),
    ] {
        let ended = Ended::of(&mut run(flags, &probe, &["do", "limits"]));
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(1), ""),
            "{flags:?}: {ended:?}"
        );
        assert!(ended.stderr.contains(words), "{flags:?}: {ended:?}");
    }
}
