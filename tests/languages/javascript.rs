//! Guests in JavaScript: the module, and what the runtime makes of scripts.

use crate::support::manual::Example;
use crate::support::scripts::{Runtime, all_of};
use crate::support::{Ended, Folder, Names, Native, Running, cannot_run, posix_ipc, repository};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn script(path: &str) -> PathBuf {
    repository().join("tests/javascript").join(path)
}

/// Runs a script of one's own.
fn run(text: &str, flags: &[&str], arguments: &[&str]) -> Ended {
    let js = Runtime::find("js");
    let folder = Folder::new();
    let script = folder.file("script.js", text);
    js.run(flags, &script, arguments)
}

// ---- the module ------------------------------------------------------------------------

#[test]
fn every_function_of_every_kind() {
    let js = Runtime::find("js");
    let ended = js.run(&["--private"], &script("kinds.js"), &[]);
    assert_eq!((ended.lines(), &*ended.stderr), (vec!["done"], ""));
}

#[test]
fn a_script_and_a_native_program() {
    let js = Runtime::find("js");
    let names = Names::new();
    let mut native = Native::set_up(&[
        format!("g = sem.open {} create value=2", names.name("gate")),
        format!("f = shm.open {} create", names.name("frame")),
        "shm.resize f 64".into(),
        "shm.write f 0 hello".into(),
        "shm.word f u64 8 store max64".into(),
        format!("j = mq.open {} create limits=4x16", names.name("jobs")),
        format!("a = mq.open {} create limits=4x16", names.name("answers")),
        "mq.send j first:3".into(),
    ]);
    let flags = all_of(&names);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let prefix = format!("/{}", names.prefix());
    let mut command = js.command(&flags, &script("peer.js"), &[&prefix]);
    let mut guest = Running::start(command.stdin(Stdio::null()));
    assert_eq!(guest.line(), "1 hello 18446744073709551615n");

    let mut receives = |message: &str| {
        let received = native.run("mq.receive a timeout=60000000000");
        assert_eq!(received, Ok(message.into()));
    };
    receives("\"FIRST\":4");
    native.run("mq.send j second:0").unwrap();
    let received = native.run("mq.receive a timeout=60000000000");
    assert_eq!(received, Ok("\"SECOND\":1".into()));
    native.run("mq.send j '':0").unwrap();
    // Until it waits, nobody is woken.
    while native.run("shm.notify f 16 1") == Ok("0".into()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(guest.line(), "ok");
    let ended = guest.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    for (line, outcome) in [
        ("sem.value g", "3"),
        ("shm.read f 0 5", "\"world\""),
        ("shm.word f u64 8 load", "0"),
    ] {
        assert_eq!(native.run(line), Ok(outcome.into()), "{line}");
    }
}

#[test]
fn views_are_the_memory_itself() {
    let js = Runtime::find("js");
    let ended = js.run(&["--private", "--map"], &script("views.js"), &[]);
    assert_eq!((ended.lines(), &*ended.stderr), (vec!["done"], ""));
}

#[test]
fn a_view_and_a_native_program_that_changes_it() {
    let text = r#"
import { SharedMemory } from "posix-ipc";
const words = SharedMemory.open(process.argv[2]).view(Int32Array);
console.log(words[2]);
while (Atomics.load(words, 3) === 0);
console.log(Atomics.add(words, 2, 1), words[2]);
"#;
    let js = Runtime::find("js");
    let names = Names::new();
    let name = names.name("frame");
    let mut native = Native::set_up(&[
        format!("f = shm.open {name} create"),
        "shm.resize f 64".into(),
        "shm.word f u32 8 store 5".into(),
    ]);
    let folder = Folder::new();
    let script = folder.file("script.js", text);
    let flag = format!("{name},map");
    let mut command = js.command(&["--shm", &flag], &script, &[&name]);
    let mut guest = Running::start(command.stdin(Stdio::null()));
    assert_eq!(guest.line(), "5");
    native.run("shm.word f u32 8 add 10").unwrap();
    native.run("shm.word f u32 12 store 1").unwrap();
    assert_eq!(guest.line(), "15 16");
    let ended = guest.end();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(native.run("shm.word f u32 8 load"), Ok("16".into()));
}

#[test]
fn a_view_needs_a_grant_to_map() {
    let text = r#"
import { SharedMemory } from "posix-ipc";
const segment = SharedMemory.open(process.argv[2]);
try {
    segment.view();
} catch (error) {
    console.log(error.name, error.code, segment.read(0, 2).length);
}
"#;
    let names = Names::new();
    let name = names.name("frame");
    let _native = Native::set_up(&[
        format!("f = shm.open {name} create"),
        "shm.resize f 64".into(),
    ]);
    let ended = run(text, &["--shm", &name], &[&name]);
    assert_eq!(ended.lines(), ["NotPermittedError EPERM 2"]);
}

#[test]
fn a_name_that_is_not_granted() {
    let text = r#"
import { MessageQueue, NotPermittedError, Semaphore, SharedMemory } from "posix-ipc";
for (const kind of [Semaphore, SharedMemory, MessageQueue]) {
    for (const call of [() => kind.open("/secret"), () => kind.unlink("/secret")]) {
        try {
            call();
        } catch (error) {
            console.log(error instanceof NotPermittedError, error.code, error.message);
        }
    }
}
"#;
    let ended = run(text, &[], &[]);
    let denied = "true EPERM /secret: not permitted by the host";
    assert_eq!(ended.lines(), [denied; 6]);
    // The host says what would have allowed it.
    assert!(ended.stderr.contains("--sem /secret"), "{}", ended.stderr);
}

// ---- what a script is ------------------------------------------------------------------

#[test]
fn arguments_environment_and_folder() {
    let text = r#"
import { readFileSync, writeFileSync } from "node:fs";
console.log(process.argv.length, process.argv.slice(2), process.env);
console.log(process.argv[1] === import.meta.filename, process.cwd() === import.meta.dirname);
console.log(readFileSync("data.txt", "utf8"), readFileSync(0, "utf8"));
for (const path of ["../data.txt", "/etc/passwd", "none.txt"]) {
    try { readFileSync(path); } catch (error) { console.log(error.code); }
}
try { writeFileSync("new.txt", ""); } catch (error) { console.log("not written"); }
"#;
    let js = Runtime::find("js");
    let folder = Folder::new();
    folder.file("data.txt", "dätä");
    let script = folder.file("script.mjs", text);
    let arguments = ["--one", "two three", "", "ü"];
    let mut command = js.command(&["--env", "A=b"], &script, &arguments);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    running.say("input");
    let ended = running.end();
    let lines = ended.lines();
    assert_eq!(
        lines[0],
        r#"6 [ "--one", "two three", "", "ü" ] { A: "b" }"#
    );
    assert_eq!(lines[1..4], ["true true", "dätä input", ""]);
    assert!(!lines[4..7].contains(&"dätä"), "{lines:?}");
    assert_eq!(lines[6..], ["ENOENT", "not written"]);
}

#[test]
fn exit_codes_are_passed_on() {
    for (text, code) in [
        ("", 0),
        ("process.exit()", 0),
        ("process.exit(3); console.error('never')", 3),
        ("process.exit(256 + 7)", 7),
        ("process.exitCode = 5", 5),
        (
            "try { process.exit(2) } finally { console.error('never') }",
            2,
        ),
        (
            "setTimeout(() => process.exit(4), 1); await new Promise(() => {})",
            4,
        ),
    ] {
        let ended = run(text, &[], &[]);
        assert_eq!((ended.code, &*ended.stderr), (Some(code), ""), "{text}");
    }
}

/// What a script says that fails: on standard error, with `HERE` for its path.
fn failure(text: &str) -> String {
    let js = Runtime::find("js");
    let folder = Folder::new();
    let script = folder.file("script.js", text);
    let ended = js.run(&["--private"], &script, &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let path = script.canonicalize().unwrap();
    ended.stderr.replace(path.to_str().unwrap(), "HERE")
}

#[test]
fn what_nothing_catches_is_shown() {
    for (text, expected) in [
        (
            "function f(x) {\n  return x.y;\n}\nf(null);\n",
            "Uncaught TypeError: cannot read property 'y' of null\n    at f (HERE:2:10)\n    \
             at <anonymous> (HERE:4:3)\n",
        ),
        (
            "const fine = 1;\nconst wrong = ;\n",
            "Uncaught SyntaxError: unexpected token in expression: ';'\n    at HERE:2:15\n",
        ),
        ("throw { a: 1n }", "Uncaught { a: 1n }\n"),
        // Its own frames are not what a user looks for.
        (
            "import { Semaphore } from 'posix-ipc';\nSemaphore.open('/none');",
            "Uncaught NotFoundError [ENOENT]: /none: no such object\n    at <anonymous> (HERE:2:11)\n",
        ),
        (
            "Promise.reject(new RangeError('unseen'));\nawait null;\nsetTimeout(console.log, 1);",
            "Uncaught RangeError: unseen\n    at <anonymous> (HERE:1:",
        ),
        (
            "setTimeout(() => { throw 'late' }, 1);",
            "Uncaught \"late\"\n",
        ),
        (
            "import './none.js';",
            "Uncaught ReferenceError: cannot read the module NEAR/none.js: ",
        ),
        (
            "import 'left-pad';",
            "Uncaught ReferenceError: cannot find the module \"left-pad\" that HERE imports",
        ),
        (
            "import './worker.ts';",
            "Uncaught SyntaxError: NEAR/worker.ts is TypeScript, which is not run as it is: make",
        ),
        (
            "import 'internal:host';",
            "Uncaught ReferenceError: cannot find the module \"internal:host\"",
        ),
    ] {
        let said = failure(text);
        match expected.split_once("NEAR") {
            Some((before, after)) => assert!(
                said.starts_with(before) && said.contains(after),
                "{text}: {said}"
            ),
            None => assert!(said.starts_with(expected), "{text}: {said}"),
        }
    }
    let text = "await new Promise(() => {});";
    let ended = run(text, &[], &[]);
    assert_eq!(ended.code, Some(13), "{ended:?}");
}

#[test]
fn siblings_are_imported() {
    let js = Runtime::find("js");
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    folder.file(
        "parts/one.mjs",
        "import { two } from '../two.js';\nexport default two + 1;",
    );
    folder.file(
        "two.js",
        "import 'posix-ipc';\nexport let two = 2;\nexport const more = () => two++;",
    );
    folder.file("broken.js", "\n\nlet x = {;\n");
    folder.file("latin.js", b"// fine\n'\xe9'\n");
    let text = r#"
import one from "./parts/one.mjs";
import { two, more } from "./parts/../two.js";
more();
console.log(one, two, (await import("./two.js")).two);
for (const path of ["./broken.js", "./latin.js"]) {
    await import(path).catch(({ name, message, stack }) => console.log(name, message + stack));
}
"#;
    let ended = js.run(&[], &folder.file("script.js", text), &[]);
    let lines = ended.lines();
    assert_eq!(lines[0], "3 3 3");
    assert!(ended.stdout.contains("SyntaxError"), "{ended:?}");
    assert!(ended.stdout.contains("broken.js:3:"), "{ended:?}");
    assert!(ended.stdout.contains("latin.js:2: not UTF-8"), "{ended:?}");
}

#[test]
fn timers_and_promises_take_turns() {
    let text = r#"
import { MessageQueue } from "posix-ipc";
const queue = MessageQueue.createUnique("/q-", { maxMessages: 1, maxMessageSize: 8 });
const said = [];
setTimeout((a, b) => said.push("late", a, b), 20, 1, 2);
setTimeout(() => said.push("early"), 1);
clearTimeout(setTimeout(() => said.push("never"), 1));
const every = setInterval(() => { if (said.push("again") > 5) clearInterval(every); }, 2);
queue.subscribeReadable().wait().then(() => said.push("message"));
queueMicrotask(() => said.push("job"));
queue.send("x");
await new Promise((resolve) => setTimeout(resolve, 40));
console.log(said.slice(0, 3).join(), said.filter((it) => it !== "again").join());
"#;
    let ended = run(text, &["--private"], &[]);
    assert_eq!(
        ended.lines(),
        ["job,message,early job,message,early,late,1,2"]
    );
}

#[test]
fn a_script_cannot_take_the_runtime_down() {
    let text = r#"
const trial = (action) => { try { action(); } catch ({ name }) { console.log(name); } };
const loop = () => loop();
const nested = (n) => [n].map(nested);
trial(loop);
trial(() => nested(1));
trial(() => eval("(".repeat(1e5)));
trial(() => JSON.parse("[".repeat(1e5)));
trial(() => new RegExp("(?:".repeat(1e5)));
trial(() => new Uint8Array(2 ** 40));
console.log("\ud800", "%s %d", 1n);
"#;
    let ended = run(text, &[], &[]);
    let errors = ["RangeError"; 4];
    let lines = ended.lines();
    assert_eq!(lines[..4], errors);
    assert_eq!(
        lines[4..],
        ["SyntaxError", "RangeError", "\u{fffd} %s %d 1n"]
    );
}

#[test]
fn a_loop_without_end_is_ended() {
    let text = "console.log('started');\nfor (;;);\n";
    let ended = run(text, &["--timeout", "500ms"], &[]);
    // What was printed is not lost.
    assert_eq!((ended.code, &*ended.stdout), (Some(124), "started\n"));
    assert!(ended.stderr.contains("--timeout"), "{}", ended.stderr);
}

#[test]
fn a_script_without_a_runtime() {
    let folder = Folder::new();
    let script = folder.file("script.js", "console.log(1)");
    let mut command = posix_ipc();
    command.env("POSIX_IPC_RUNTIMES", folder.path());
    let ended = Ended::of(command.arg("run").arg(&script));
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    for part in [
        "script.js needs the JavaScript runtime",
        "`make runtimes`",
        "js.wasm",
    ] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

// ---- the manual ------------------------------------------------------------------------

fn manual() -> PathBuf {
    repository().join("guest-sdk/js/README.md")
}

#[test]
fn the_programs_of_the_manual_run() {
    let js = Runtime::find("js");
    for example in Example::all(&manual(), "js") {
        let folder = Folder::new();
        let script = example.save(&folder.path().join("script.js"));
        let flags = ["--private", "--map", "--timeout", "60s"];
        let ended = js.run(&flags, &script, &[]);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{example:?}");
        example.assert_printed(&ended.stdout);
    }
}

#[test]
fn the_declarations_have_what_the_module_has() {
    let text = "import * as all from 'posix-ipc'; console.log(Object.keys(all).join('\\n'));";
    let ended = run(text, &[], &[]);
    let declarations = repository().join("guest-sdk/js/posix-ipc.d.ts");
    let declarations = std::fs::read_to_string(declarations).unwrap();
    let kinds = ["export class ", "export function ", "export const "];
    let mut declared: Vec<&str> = declarations
        .lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
            rest.split(|letter: char| !letter.is_alphanumeric()).next()
        })
        // Those of the other module.
        .filter(|name| !name.ends_with("Sync"))
        .collect();
    declared.sort_unstable();
    assert_eq!(ended.lines(), declared);
}

#[test]
fn scripts_have_the_types_that_are_declared() {
    let compiler = type_script();
    let folder = Folder::new();
    let mut files = vec![script("kinds.js"), script("peer.js"), script("views.js")];
    for example in Example::all(&manual(), "js") {
        let name = format!("line-{}.js", example.line);
        files.push(example.save(&folder.path().join(name)));
    }
    // These are wrong, each in one way.
    let wrong = r#"
import { MessageQueue, Semaphore, SharedMemory } from "posix-ipc";
Semaphore.open("/a").acquire({ timeout: "1" });
MessageQueue.open("/a", { access: "both", creat: true });
SharedMemory.open("/a").u64(0).store(1);
new Semaphore();
"#;
    let wrong = folder.file("wrong.js", wrong);
    let said = check_types(&compiler, &folder, &files);
    assert_eq!(said, "");
    let said = check_types(&compiler, &folder, &[wrong]);
    for line in 3..=6 {
        assert!(
            said.contains(&format!("wrong.js({line},")),
            "{line}: {said}"
        );
    }
}

#[test]
fn the_declarations_have_every_global_name() {
    let compiler = type_script();
    let text =
        "for (const name of Object.getOwnPropertyNames(globalThis)) console.log(`void ${name};`)";
    let ended = run(text, &[], &[]);
    assert!(ended.lines().contains(&"void queueMicrotask;"), "{ended:?}");
    let folder = Folder::new();
    let all = folder.file("all.js", &ended.stdout);
    assert_eq!(check_types(&compiler, &folder, &[all]), "");
}

#[test]
fn objects_are_shown_with_what_they_are() {
    let text = r#"
import { MessageQueue, Semaphore, SharedMemory } from "posix-ipc";
const [gate, memory] = [Semaphore.open("/g", { create: true }), SharedMemory.open("/m", { create: true, size: 8 })];
const jobs = MessageQueue.open("/q", { create: true, maxMessages: 2, maxMessageSize: 8 });
console.log(gate, memory, memory.u32(4), jobs.subscribeReadable());
console.log([jobs]);
gate.close();
console.log({ gate }, new String("x"), new WeakMap(), new AbortController().signal.aborted);
"#;
    let ended = run(text, &["--private"], &[]);
    assert_eq!(
        ended.lines(),
        [
            "Semaphore { name: \"/g\", value: 0 } SharedMemory { name: \"/m\", size: 8 } \
             SharedU32 { offset: 4 } Pollable { ready: false }",
            "[ MessageQueue { name: \"/q\", attributes: { maxMessages: 2, maxMessageSize: 8, \
             currentMessages: 0 } } ]",
            "{ gate: Semaphore { closed } } [String: \"x\"] WeakMap {} false",
        ]
    );
}

/// What TypeScript has against scripts.
fn check_types(compiler: &Path, folder: &Folder, files: &[PathBuf]) -> String {
    let sdk = repository().join("guest-sdk/js");
    let declarations = [sdk.join("posix-ipc.d.ts"), sdk.join("globals.d.ts")];
    let files: Vec<String> = files
        .iter()
        .chain(&declarations)
        .map(|file| format!("{file:?}"))
        .collect();
    let configuration = format!(
        r#"{{ "compilerOptions": {{ "noEmit": true, "strict": true, "checkJs": true, "target":
        "esnext", "lib": ["esnext"], "module": "esnext", "types": [] }}, "files": [{}] }}"#,
        files.join(",")
    );
    folder.file("tsconfig.json", configuration);
    let output = Command::new(compiler).arg("-p").arg(folder.path()).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// TypeScript's compiler.
fn type_script() -> PathBuf {
    let find = r#"
        tools="${POSIX_IPC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/posix-ipc/tools}"
        if [ -r "$tools/env.sh" ]; then . "$tools/env.sh"; fi
        printf %s "${POSIX_IPC_GUEST_TSC:-}"
    "#;
    let output = Command::new("sh").args(["-c", find]).output().unwrap();
    let compiler = String::from_utf8(output.stdout).unwrap();
    if compiler.is_empty() {
        cannot_run("there is no TypeScript; `make test` sets it up");
    }
    compiler.into()
}
