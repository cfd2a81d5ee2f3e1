//! `--learn`: the grants that it prints are enough, and none of them is too much.
use crate::support::program::{Program, guest_rust, native_c};
use crate::support::{Ended, Folder, Names, Native, Running, guest, repository, run};
use std::path::{Path, PathBuf};

/// The grants that the guest needed, as they were printed, each as a flag and its value.
fn learnt(ended: &Ended) -> Vec<[String; 2]> {
    let lines = ended.stderr.lines();
    let lines = lines
        .take_while(|line| !line.contains(" was denied "))
        .filter_map(|line| line.strip_prefix("    --"));
    let lines = lines.map(|line| line.strip_suffix(" \\").unwrap_or(line));
    let grant = |line: &str| {
        let (flag, value) = line.split_once(' ').unwrap();
        // What is in quotes for the shell.
        [format!("--{flag}"), value.trim_matches('\'').to_owned()]
    };
    lines.map(grant).collect()
}

fn flags(grants: &[[String; 2]]) -> Vec<&str> {
    grants.as_flattened().iter().map(String::as_str).collect()
}

/// Runs a guest with what it has been learnt to need, then with each grant left out, and
/// with each made smaller in every way: then it fails, and the log says what is missed.
#[track_caller]
fn are_enough_and_no_more(grants: &[[String; 2]], attempt: impl Fn(&[&str]) -> Ended) {
    let fails = |grants: &[[String; 2]], [flag, value]: &[String; 2]| {
        let ended = attempt(&flags(grants));
        assert_ne!(ended.code, Some(0), "{grants:?}: {ended:?}");
        let names = value.split(',').next().unwrap().trim_end_matches('*');
        // A grant that is missing is advised by the name that the guest uses.
        let guests = names.rsplit("::").next().unwrap();
        let advises = |line: &str| {
            let line = line.replace('\'', "");
            let names = [names, guests].map(|name| format!("{flag} {name}"));
            line.contains(": denied ") && names.iter().any(|names| line.contains(names))
        };
        assert!(
            ended.stderr.lines().any(advises),
            "{flag} {value}: {ended:?}"
        );
    };
    let ended = attempt(&flags(grants));
    assert_eq!(ended.code, Some(0), "{grants:?}: {ended:?}");
    for (at, grant) in grants.iter().enumerate() {
        let mut others = grants.to_vec();
        others.remove(at);
        fails(&others, grant);
        for smaller in smaller(&grant[1]) {
            let mut grants = grants.to_vec();
            grants[at][1] = smaller;
            fails(&grants, grant);
        }
    }
}

/// Grants with one of the options narrower.
fn smaller(value: &str) -> Vec<String> {
    let words: Vec<&str> = value.split(',').collect();
    let narrower = |word: &str| -> &[&str] {
        match word {
            "use" => &["wait", "post"],
            "rw" => &["ro"],
            "both" => &["recv", "send"],
            "create" => &["open"],
            "own" => &["create"],
            _ => &[],
        }
    };
    let mut all = Vec::new();
    for at in 1..words.len() {
        for word in narrower(words[at]) {
            let mut words = words.clone();
            words[at] = word;
            all.push(words.join(","));
        }
    }
    all
}

/// The native side of the example, with its objects. They are gone with it.
struct Peer {
    running: Running,
    names: Names,
}

impl Peer {
    fn start() -> Self {
        let names = Names::new();
        for queue in ["jobs", "answers"] {
            names.name(queue);
        }
        let Program::Native(native) = native_c(&example("native.c")) else {
            unreachable!("it is native")
        };
        let mut command = std::process::Command::new(native);
        let mut running = Running::start(command.arg(format!("/{}", names.prefix())).arg("20"));
        assert_eq!(running.line(), "native: ready");
        Self { running, names }
    }

    /// The grants with the names of this one.
    fn named(&self, flags: &[&str]) -> Vec<String> {
        let prefix = self.names.prefix();
        flags
            .iter()
            .map(|flag| flag.replace("PREFIX", prefix))
            .collect()
    }

    fn run(self, flags: &[&str], guest: &Path, arguments: &[&str]) -> Ended {
        let flags = self.named(flags);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut ended = Ended::of(&mut run(&flags, guest, arguments));
        ended.stderr = ended.stderr.replace(self.names.prefix(), "PREFIX");
        if ended.code == Some(0) {
            assert_eq!(self.running.end().code, Some(0));
        }
        ended
    }
}

fn example(path: &str) -> PathBuf {
    repository().join("guest-examples/conversation").join(path)
}

#[test]
fn a_conversation_runs_with_what_it_was_learnt_to_need_and_with_no_less() {
    let Program::Guest(guest) = guest_rust(&example("rust")) else {
        unreachable!()
    };
    // All that there is, and more than the guest knows of.
    let wide = [
        "--learn",
        "--shm",
        "/PREFIX.data::/data,own",
        "--sem",
        "/PREFIX.ping::/ping,own",
        "--sem",
        "/PREFIX.pong::/pong,create",
        "--sem",
        "/PREFIX.other::/other",
        "--mq",
        "/PREFIX.jobs::/jobs,own",
        "--mq",
        "/PREFIX.answers::/answers",
    ];
    let ended = Peer::start().run(&wide, &guest, &["--try-denied"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let grants = learnt(&ended);
    let expected = [
        ["--sem", "/PREFIX.ping::/ping,wait"],
        ["--sem", "/PREFIX.pong::/pong,post"],
        ["--shm", "/PREFIX.data::/data,rw"],
        ["--mq", "/PREFIX.answers::/answers,send"],
        ["--mq", "/PREFIX.jobs::/jobs,recv"],
    ];
    assert_eq!(grants, expected);
    are_enough_and_no_more(&grants, |flags| Peer::start().run(flags, &guest, &[]));
}

#[test]
fn a_guest_alone_touches_nothing_and_runs_with_what_it_was_learnt_to_need() {
    let probe = guest("probe");
    let names = Names::new();
    let name = |stem| names.name(stem);
    let lines = [
        format!("g = sem.open {} create", name("gate")),
        "sem.release g".into(),
        "sem.release g".into(),
        format!("l = sem.open {} create value=1", name("lock")),
        "sem.acquire l".into(),
        "sem.release l".into(),
        format!("m = shm.open {} create size=8", name("frame")),
        "shm.resize m 16".into(),
        format!("r = shm.open {} access=read", name("frame")),
        format!("u = shm.unique {} size=8", name("new-")),
        format!("q = mq.open {} create limits=1x8 access=write", name("out")),
        "mq.send q text".into(),
        format!("mq.unlink {}", name("out")),
    ];
    let lines: Vec<&str> = std::iter::once("must")
        .chain(lines.iter().map(String::as_str))
        .collect();
    let attempt = |flags: &[&str]| Ended::of(&mut run(flags, &probe, &lines));
    // A stranger's object of the name would be found if the guest were not by itself.
    let peer = Native::set_up(&[format!("m = shm.open {} create size=100", name("frame"))]);
    let ended = attempt(&["--learn"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(names.existing(), [format!("shm:{}", name("frame"))]);
    drop(peer);
    Native::default()
        .run(&format!("shm.unlink {}", name("frame")))
        .unwrap();

    let grants = learnt(&ended);
    let expected = [
        ["--sem", "gate", "post,create"],
        ["--sem", "lock", "use,create"],
        ["--shm", "frame", "rw,create"],
        ["--shm", "new-*", "rw,create"],
        ["--mq", "out", "send,create"],
    ];
    let expected = expected.map(|[flag, stem, options]| {
        [
            flag.to_owned(),
            format!("/{}.{stem},{options}", names.prefix()),
        ]
    });
    assert_eq!(grants, expected);
    are_enough_and_no_more(&grants, attempt);
    assert_eq!(names.existing(), [""; 0]);
}

#[test]
fn what_others_created_takes_more() {
    let probe = guest("probe");
    let names = Names::new();
    let [gate, frame] = ["gate", "frame"].map(|stem| names.name(stem));
    let lines = [
        "must".to_owned(),
        format!("m = shm.open {frame} size=16"),
        format!("g = sem.open {gate} create"),
        format!("sem.unlink {gate}"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let attempt = |flags: &[&str]| {
        let peer = [
            format!("m = shm.open {frame} create size=8"),
            format!("g = sem.open {gate} create"),
        ];
        let _peer = Native::set_up(&peer);
        let ended = Ended::of(&mut run(flags, &probe, &lines));
        for line in [format!("shm.unlink {frame}"), format!("sem.unlink {gate}")] {
            let _ = Native::default().run(&line);
        }
        ended
    };
    let pattern = format!("{},own,keep", names.pattern());
    let ended = attempt(&["--learn", "--shm", &pattern, "--sem", &pattern]);
    let grants = learnt(&ended);
    let expected = [
        ["--sem".to_owned(), format!("{gate},wait,own,keep")],
        ["--shm".to_owned(), format!("{frame},rw,own,keep")],
    ];
    assert_eq!(grants, expected, "{ended:?}");
    are_enough_and_no_more(&grants, attempt);
}

#[test]
fn what_is_said_of_a_guest_that_fails_or_uses_odd_names() {
    let probe = guest("probe");
    let learn = |lines: &[&str]| Ended::of(&mut run(&["--learn"], &probe, lines)).stderr;
    let more = "posix-ipc: the guest did not succeed, so it may need more
";
    assert_eq!(
        learn(&["must", "s = sem.open /a", "s = sem.open /b"]),
        format!(
            "posix-ipc: probe.wasm needed
    --sem /a,wait
{more}"
        )
    );
    let none = "posix-ipc: probe.wasm needed no grants that a flag can give
";
    assert_eq!(learn(&["do"]), none);
    assert_eq!(
        learn(&[
            "do",
            "s = sem.open /a,b",
            "s = sem.open /a*",
            "s = sem.open a"
        ]),
        format!(
            "{none}posix-ipc: and in a manifest, which takes every name: sem:\"/a,b\",wait\n\
             posix-ipc: and sem:/a*, which no grant can be for\n\
             posix-ipc: and sem:a, which no grant can be for\n"
        )
    );
}

#[test]
fn what_is_denied_is_said_and_is_a_comment_of_the_manifest() {
    let probe = guest("probe");
    let names = Names::new();
    let [used, wide, new] = ["used", "wide", "new"].map(|stem| names.name(stem));
    let _native = Native::set_up(&[
        format!("a = mq.open {used} create limits=1x8"),
        format!("b = mq.open {wide} create limits=1x8"),
    ]);
    let folder = Folder::new();
    let manifest = folder.path().join("learnt.toml");
    let lines = [
        format!("a = mq.open {used} access=write"),
        format!("b = mq.open {wide} access=write"),
        format!("c = sem.open {new}"),
    ];
    let [grant, narrow] = [format!("{used},send"), format!("{wide},recv")];
    let path = manifest.to_str().unwrap();
    let flags = ["--learn-to", path, "--mq", &grant, "--mq", &narrow];
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.insert(0, "do");
    let ended = Ended::of(&mut run(&flags, &probe, &lines));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = format!(
        "posix-ipc: probe.wasm needed
    --mq {used},send
posix-ipc: probe.wasm was denied what these would give it
    --sem {new},wait \\
    --mq {wide},send
"
    );
    assert!(ended.stderr.ends_with(&told), "{ended:?}");
    let written = std::fs::read_to_string(&manifest).unwrap();
    assert_eq!(
        written,
        format!(
            "# What probe.wasm needed in one run.

[[mq]]
name = \"{used}\"
access = \"send\"

# It was denied what the tables below would give it.
# Where one of them is for a name from above, it replaces that table.

# [[sem]]
# name = \"{new}\"
# access = \"wait\"

# [[mq]]
# name = \"{wide}\"
# access = \"send\"
"
        )
    );
    // As it is, it grants what was used and nothing else.
    let ended = Ended::of(&mut run(&["--manifest", path], &probe, &lines));
    assert_eq!(ended.stderr.matches(": denied ").count(), 2, "{ended:?}");
    // What a person may have edited stays.
    let again = Ended::of(&mut run(&flags, &probe, &lines));
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.stderr.contains("name a file that does not exist"),
        "{again:?}"
    );
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), written);
}
