//! A look at the host from outside: of which names the kernel hears.

use crate::support::{Ended, Names, Native, Running, guest, run, strace};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

/// A system call: its name, and all of its line.
struct Call<'a> {
    name: &'a str,
    line: &'a str,
}

impl<'a> Call<'a> {
    /// Of a line such as `4711 openat(AT_FDCWD, "/a/b", O_RDONLY) = 3`.
    fn parse(line: &'a str) -> Option<Self> {
        let (_, call) = line.split_once(' ')?;
        let call = call.trim_start().trim_start_matches("<... ");
        let end = call.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        Some(Self {
            name: &call[..end],
            line,
        })
    }

    /// What it has between quotation marks.
    fn strings(&self) -> impl Iterator<Item = &'a str> {
        self.line.split('"').skip(1).step_by(2)
    }

    /// The IPC objects that it names, such as `shm:/x`.
    fn objects(&self) -> Vec<String> {
        let queue = matches!(self.name, "mq_open" | "mq_unlink");
        let object = |text: &str| match text.strip_prefix("/dev/shm/") {
            Some(file) => Some(match file.strip_prefix("sem.") {
                Some(name) => format!("sem:/{name}"),
                None => format!("shm:/{file}"),
            }),
            None => queue.then(|| format!("mq:/{text}")),
        };
        self.strings().filter_map(object).collect()
    }

    fn changes(&self) -> bool {
        let changing = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
        !matches!(
            self.name,
            "newfstatat" | "statx" | "lstat" | "stat" | "statfs"
        ) && (!self.name.contains("open") || changing.iter().any(|flag| self.line.contains(flag)))
    }
}

/// What a guest does that was granted something and wants more: for each line, whether
/// it is allowed. `P.` is for the start of a name.
const LINES: [(&str, bool); 44] = [
    ("s = sem.open P.sem.new create value=1", true),
    ("sem.acquire s", true),
    ("sem.release s", true),
    ("sem.acquire s timeout=0", true),
    ("sem.acquire s timeout=1000000", true),
    ("u = sem.unique P.sem. value=1", true),
    ("sem.unlink P.sem.new", true),
    ("x = sem.open P.sem.foreign", true),
    ("sem.unlink P.sem.foreign", false),
    ("x = sem.open P.denied", false),
    ("x = sem.open P.denied create value=1", false),
    ("x = sem.open P.denied create exclusive", false),
    ("x = sem.unique P.denied. value=1", false),
    ("sem.unlink P.denied", false),
    ("x = sem.open P.semdenied", false),
    ("x = sem.open P.sem.denied/../../denied", false),
    ("m = shm.open P.ro access=read", true),
    ("shm.read m 0 8", true),
    ("shm.word m u32 0 load", true),
    ("x = shm.open P.ro", false),
    ("x = shm.open P.ro access=read size=4", false),
    ("x = shm.open P.ro access=read truncate", false),
    ("shm.resize m 4", false),
    ("shm.write m 0 x", false),
    ("shm.unlink P.ro", false),
    ("w = shm.open P.rw create size=64", true),
    ("shm.resize w 128", true),
    ("shm.write w 0 data", true),
    ("x = shm.open P.denied access=read", false),
    ("x = shm.open P.denied create truncate size=8", false),
    ("x = shm.open /sem.P.sem.foreign", false),
    ("shm.unlink P.denied", false),
    ("q = mq.open /inside access=read", true),
    ("mq.receive q timeout=0", true),
    ("mq.receive q timeout=1000000", true),
    ("n = mq.notify q", true),
    ("x = mq.open /inside access=write", false),
    ("x = mq.open /inside", false),
    ("mq.unlink /inside", false),
    ("mq.send q x timeout=0", false),
    // By the host's name, which is not the guest's.
    ("x = mq.open P.outside access=read", false),
    ("x = mq.open P.denied create limits=1x8", false),
    ("mq.unlink P.denied", false),
    ("x = mq.open /denied-inside", false),
];

#[test]
fn the_kernel_hears_only_of_names_that_were_granted() {
    let (probe, strace) = (guest("probe"), strace());
    let names = Names::new();
    let start = names.name("");
    let [foreign, ro, outside, denied] =
        ["sem.foreign", "ro", "outside", "denied"].map(|stem| names.name(stem));
    let mut native = Native::set_up(&[
        format!("f = sem.open {foreign} create value=1"),
        format!("r = shm.open {ro} create size=8"),
        format!("q = mq.open {outside} create limits=1x8"),
        format!("d = sem.open {denied} create value=1"),
        format!("e = shm.open {denied} create size=8"),
        format!("g = mq.open {denied} create limits=1x8"),
        "mq.send q x".into(),
    ]);
    let before = names.existing();

    let folder = crate::support::Folder::new();
    let trace = folder.path().join("trace");
    let flags = [
        format!("--sem={start}sem.*,create"),
        format!("--shm={ro},ro"),
        format!("--shm={start}rw,create"),
        format!("--mq={outside}::/inside,recv"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let command = run(&flags, &probe, &["do"]);
    let mut traced = Command::new(strace);
    traced
        .args(["-f", "-qq", "-y", "-s", "1000", "-e", "signal=none"])
        .args(["-e", "trace=%file,mq_open,mq_unlink,ftruncate,fallocate"])
        .arg("-o")
        .arg(&trace)
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::piped());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(key, value),
            None => traced.env_remove(key),
        };
    }
    let mut running = Running::start(&mut traced);
    for (line, allowed) in LINES {
        let outcome = running.tell(&line.replace("P.", &start));
        let denials = ["error not-permitted", "error access", "error invalid"];
        let right = match allowed {
            true => outcome.starts_with("ok") || outcome == "error timed-out",
            false => denials.contains(&&*outcome) || outcome.contains("nothing in"),
        };
        assert!(right, "{line}: {outcome}");
    }
    let ended: Ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let trace = std::fs::read_to_string(trace).unwrap();
    // Starting the host names what it is told on its command line.
    let calls: Vec<Call<'_>> = trace.lines().filter_map(Call::parse).collect();
    let calls = calls.iter().filter(|call| call.name != "execve");

    let mut heard = BTreeSet::new();
    for call in calls.clone() {
        for object in call.objects() {
            let is_granted = object.starts_with(&format!("sem:{start}sem."))
                || [
                    format!("shm:{ro}"),
                    format!("shm:{start}rw"),
                    format!("mq:{outside}"),
                ]
                .contains(&object);
            assert!(is_granted, "{object}: {}", call.line);
            // What may only be read is opened for nothing else.
            let read_only = object == format!("shm:{ro}") || object == format!("mq:{outside}");
            assert!(!read_only || !call.changes(), "{object}: {}", call.line);
            heard.insert(object);
        }
        // However it is written, and whatever the call.
        for string in call.strings() {
            assert!(!string.contains("denied"), "{}", call.line);
            assert!(
                !string.contains("inside"),
                "the guest's name: {}",
                call.line
            );
        }
        // Objects are sized before they have a name, and others are not sized.
        if matches!(call.name, "ftruncate" | "fallocate") && call.line.contains("/dev/shm/") {
            assert!(call.line.contains("/dev/shm/#"), "{}", call.line);
        }
    }
    // It is not blind: these were granted, and used.
    for object in [
        format!("sem:{start}sem.new"),
        format!("sem:{foreign}"),
        format!("shm:{ro}"),
        format!("shm:{start}rw"),
        format!("mq:{outside}"),
    ] {
        assert!(heard.contains(&object), "{object} in {heard:?}");
    }
    let unlinked = calls.clone().filter(|call| call.name.starts_with("unlink"));
    let unlinked: BTreeSet<String> = unlinked.flat_map(Call::objects).collect();
    assert!(
        unlinked.contains(&format!("sem:{start}sem.new")),
        "{unlinked:?}"
    );
    assert!(
        !unlinked.contains(&format!("sem:{foreign}")),
        "{unlinked:?}"
    );

    assert_eq!(names.existing(), before);
    assert_eq!(native.run("shm.size r"), Ok("8".into()));
    assert_eq!(native.run("sem.value f"), Ok("1".into()));
}
