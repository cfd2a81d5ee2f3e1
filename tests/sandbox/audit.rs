//! What is written down of a guest, by the command and by a host of one's own.
use crate::support::language::escaped;
use crate::support::{Ended, Folder, Names, Native, embed, exists, guest, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};
use wasmtime_posix_ipc::audit::{Decision, Operation};
use wasmtime_posix_ipc::{IpcCtx, IpcHost};

/// Runs a guest, and gives what it was told and what was written down of it.
fn recorded(probe: &Path, file: &Path, flags: &[&str], lines: &[&str]) -> (Ended, Vec<Value>) {
    let flags = [flags, &["--audit", file.to_str().unwrap()]].concat();
    let ended = Ended::of(&mut run(&flags, probe, &[&["do"], lines].concat()));
    (ended, records(file))
}

fn records(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(read).collect()
}

/// A record without its time.
fn expected(record: &mut Value) -> Value {
    let time = record.as_object_mut().unwrap().remove("time").unwrap();
    let time = time.as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    record.clone()
}

#[test]
fn what_is_allowed_denied_and_over_a_limit() {
    let probe = guest("probe");
    let (names, folder) = (Names::new(), Folder::new());
    let [gate, jobs, own] = ["gate", "jobs", "own"].map(|stem| names.name(stem));
    let _peer = Native::set_up(&[
        format!("g = sem.open {gate} create value=2"),
        format!("j = mq.open {jobs} create limits=1x8"),
    ]);
    let (gate_flag, own_flag) = (
        format!("{gate}::/gate,wait"),
        format!("{own},create,max-size=8B"),
    );
    let (ended, mut records) = recorded(
        &probe,
        &folder.path().join("audit"),
        &[
            "--sem",
            &gate_flag,
            "--shm",
            &own_flag,
            "--mq",
            &jobs,
            "--max-handles",
            "3",
        ],
        &[
            "g = sem.open /gate",
            "sem.acquire g",
            "sem.acquire g",
            "sem.release g",
            "sem.release g",
            &format!("g = sem.open {gate}"),
            &format!("s = shm.open {own} create size=8"),
            &format!("s = shm.open {own}"),
            "shm.resize s 9",
            "shm.resize s 4",
            &format!("j = mq.open {jobs} access=read"),
            "n = mq.notify j",
            &format!("mq.unlink {jobs}"),
            &format!("shm.unlink {own}"),
            &format!("shm.unlink {own}"),
            "q = mq.open /../x",
        ],
    );
    let denied = "error not-permitted";
    let told: Vec<&str> = ended.lines();
    let outcomes = [
        "ok",
        "ok",
        "ok",
        denied,
        denied,
        denied,
        "ok",
        "ok",
        "error quota",
        "ok",
        "ok",
        "error quota",
        denied,
        "ok",
        "error no-entry",
        "error invalid",
    ];
    assert_eq!(told, outcomes);

    let record = |kind: &str,
                  name: &str,
                  host: Option<&str>,
                  deed: (&str, &[&str]),
                  end: (&str, Option<&str>)| {
        json!({
            "guest": "probe.wasm", "kind": kind, "name": name, "host_name": host,
            "operation": deed.0, "rights": deed.1, "decision": end.0, "errno": end.1,
        })
    };
    let (allowed, denied) = (("allowed", None), ("denied", Some("EPERM")));
    let over = ("over-limit", Some("EDQUOT"));
    let host = Some(&*gate);
    let rw: &[&str] = &["read", "write"];
    let found: Vec<Value> = records.iter_mut().map(expected).collect();
    let all = [
        record("sem", "/gate", host, ("open", &[]), allowed),
        // The first time, and every denial.
        record("sem", "/gate", host, ("wait", &["wait"]), allowed),
        record("sem", "/gate", host, ("post", &["post"]), denied),
        record("sem", "/gate", host, ("post", &["post"]), denied),
        record("sem", &gate, None, ("open", &[]), denied),
        record(
            "shm",
            &own,
            Some(&own),
            ("create", &["read", "write", "create"]),
            allowed,
        ),
        record("shm", &own, Some(&own), ("open", rw), allowed),
        record("shm", &own, Some(&own), ("resize", &["resize"]), over),
        record("shm", &own, Some(&own), ("resize", &["resize"]), allowed),
        record("mq", &jobs, Some(&jobs), ("open", &["recv"]), allowed),
        record("mq", &jobs, Some(&jobs), ("notify", &["recv"]), over),
        record("mq", &jobs, Some(&jobs), ("unlink", &["unlink"]), denied),
        record("shm", &own, Some(&own), ("unlink", &["unlink"]), allowed),
        record(
            "shm",
            &own,
            Some(&own),
            ("unlink", &["unlink"]),
            ("allowed", Some("ENOENT")),
        ),
        record(
            "mq",
            "/../x",
            None,
            ("open", &["recv", "send"]),
            ("denied", Some("EINVAL")),
        ),
    ];
    for (found, expected) in found.iter().zip(&all) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), all.len(), "{found:#?}");
}

#[test]
fn pollables_and_memory_over_a_limit() {
    let probe = guest("probe");
    let (names, folder) = (Names::new(), Folder::new());
    let gate = format!("{},create", names.name("gate"));
    let file = folder.path().join("audit");
    let flags = ["--sem", &gate, "--max-pollables", "0"];
    let lines = [
        &*format!("g = sem.open {} create", names.name("gate")),
        "sem.ready g",
    ];
    let (_, records) = recorded(&probe, &file, &flags, &lines);
    let last = records.last().unwrap();
    assert_eq!(
        (&last["operation"], &last["decision"]),
        (&json!("subscribe"), &json!("over-limit"))
    );

    let flags = ["--max-memory", "48MiB", "--audit", file.to_str().unwrap()];
    let ended = Ended::of(&mut run(&flags, &probe, &["attack", "grow", "200"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let last = self::records(&file).pop().unwrap();
    assert_eq!(
        (&last["operation"], &last["decision"]),
        (&json!("grow"), &json!("over-limit"))
    );
    assert_eq!((&last["kind"], &last["name"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_name_adds_no_line_and_no_field() {
    let probe = guest("probe");
    let folder = Folder::new();
    let file = folder.path().join("audit");
    for name in [
        "/a\n{\"decision\":\"allowed\"}",
        "/a\",\"decision\":\"allowed",
        "/a\r\u{2028}\u{85}\u{202e}\u{1b}[2J\u{7f}",
        "/\u{1f600}\\",
    ] {
        let line = format!("q = mq.open {}", escaped(name));
        let (ended, records) = recorded(&probe, &file, &[], &[&line]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(records.len(), 1, "{name:?}");
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.trim_end_matches('\n')
                .chars()
                .all(|c| (' '..='~').contains(&c)),
            "{text:?}"
        );
        assert_eq!(records[0]["decision"], "denied");
        assert_eq!(records[0]["name"], name);
        fs::remove_file(&file).unwrap();
    }
    // What is far too long for a name is cut.
    let long = format!("q = mq.open /{}", "x".repeat(100_000));
    let (_, records) = recorded(&probe, &file, &[], &[&long]);
    assert_eq!(records[0]["errno"], "ENAMETOOLONG");
    assert!(fs::metadata(&file).unwrap().len() < 1000);
}

#[test]
fn the_file_is_added_to_and_is_its_owners() {
    let probe = guest("probe");
    let folder = Folder::new();
    let file = folder.path().join("audit");
    let line = ["q = mq.open /a"];
    recorded(&probe, &file, &[], &line);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    recorded(&probe, &file, &[], &line);
    assert_eq!(records(&file).len(), 2);
    // What a full disk has cut off does not take the next line with it.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() - 20]).unwrap();
    let flags = ["--audit", file.to_str().unwrap()];
    Ended::of(&mut run(&flags, &probe, &["do", line[0]]));
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(
        serde_json::from_str::<Value>(text.lines().last().unwrap()).is_ok(),
        "{text}"
    );
}

#[test]
fn without_its_record_no_guest_is_run() {
    let probe = guest("probe");
    let folder = Folder::new();
    let target = folder.file("target", "");
    let link = folder.path().join("link");
    symlink(&target, &link).unwrap();
    let nowhere = folder.path().join("no/such");
    for (file, why) in [
        (&link, "symbolic link"),
        (&nowhere, "No such file"),
        (&folder.path().into(), "directory"),
    ] {
        let file: &Path = file;
        let flags = ["--audit", file.to_str().unwrap()];
        let ended = Ended::of(&mut run(&flags, &probe, &["do", "q = mq.open /a"]));
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
        let start = format!("posix-ipc: cannot write to the audit {}: ", file.display());
        assert!(
            ended.stderr.starts_with(&start) && ended.stderr.contains(why),
            "{ended:?}"
        );
    }
    assert_eq!(fs::read(&target).unwrap(), b"");
}

#[test]
fn a_record_that_cannot_go_on_ends_the_guest() {
    let probe = guest("probe");
    let names = Names::new();
    let grant = format!("{},own", names.pattern());
    let [first, second] = ["first", "second"].map(|stem| names.name(stem));
    let lines = [&first, &second].map(|name| format!("sem.unlink {name}"));
    let _peer =
        Native::set_up(&[first, second.clone()].map(|name| format!("s = sem.open {name} create")));
    let flags = ["--sem", &grant, "--audit", "/dev/full"];
    let ended = Ended::of(&mut run(&flags, &probe, &["do", &lines[0], &lines[1]]));
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
    let line = "ended: cannot write to the audit /dev/full: No space left on device";
    assert!(ended.stderr.contains(line), "{ended:?}");
    // Not more than the one deed of which there is no record.
    assert!(exists("sem", &second));
}

#[test]
fn a_guest_fills_no_disk() {
    let probe = guest("probe");
    let folder = Folder::new();
    let file = folder.path().join("audit");
    let flags = [
        "--audit",
        file.to_str().unwrap(),
        "--max-audit-bytes",
        "4KiB",
    ];
    let ended = Ended::of(&mut run(&flags, &probe, &["repeat", "q = mq.open /a"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let line = "the limit of 4KiB for one guest is reached; raise it with --max-audit-bytes SIZE";
    assert!(ended.stderr.contains(line), "{ended:?}");
    let length = fs::metadata(&file).unwrap().len();
    assert!((3000..=4096).contains(&length), "{length}");
    assert!(!records(&file).is_empty());
}

#[test]
fn a_host_of_ones_own_is_told_and_may_end_the_guest() {
    let probe = guest("probe");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let ctx = IpcCtx::builder()
        .label("one")
        .private()
        .audit(move |event| {
            assert_eq!(event.guest, "one");
            let host_name = event.host_name.map_or("", |name| name.as_str());
            assert!(host_name.ends_with(&event.name[1..]) && host_name != event.name);
            listener
                .lock()
                .unwrap()
                .push((event.operation, event.decision, event.errno()));
            match event.operation {
                Operation::Unlink => Err(wasmtime::Error::msg("enough")),
                _ => Ok(()),
            }
        });
    let ctx = ctx.build(&IpcHost::new()).unwrap();
    let lines = [
        "do",
        "s = sem.open /a create value=1",
        "t = sem.open /b",
        "sem.acquire s",
        "sem.unlink /a",
        "sem.acquire s",
    ];
    let ended = runtime.block_on(embed(&probe, &lines, ctx));
    assert!(
        ended.end.as_ref().unwrap_err().contains("enough"),
        "{ended:?}"
    );
    assert_eq!(ended.stdout, "ok\nerror no-entry\nok\n");
    let allowed = |operation, errno| (operation, Decision::Allowed, errno);
    let expected = [
        allowed(Operation::Create, None),
        allowed(Operation::Open, Some("ENOENT")),
        allowed(Operation::Wait, None),
        allowed(Operation::Unlink, None),
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}
