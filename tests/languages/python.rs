//! Guests in Python: scripts that are run natively and by the runtime component, and
//! what the runtime makes of scripts.

use crate::support::manual::Example;
use crate::support::scripts::{Runtime, all_of, native_python};
use crate::support::{Ended, Folder, Names, Native, Running, posix_ipc, repository};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn script(path: &str) -> PathBuf {
    repository().join("tests/python").join(path)
}

/// Runs a script of one's own.
fn run(text: &str, flags: &[&str], arguments: &[&str]) -> Ended {
    let python = Runtime::find("python");
    let folder = Folder::new();
    let script = folder.file("script.py", text);
    python.run(flags, &script, arguments)
}

/// Runs a script that ends well, and gives what it prints.
#[track_caller]
fn output(text: &str, flags: &[&str]) -> String {
    let ended = run(text, flags, &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    ended.stdout
}

// ---- the same on both sides ------------------------------------------------------------

/// Runs a script natively, with the module of PyPI, and as a guest, and compares what
/// they say.
#[track_caller]
fn says_the_same(name: &str) {
    let python = Runtime::find("python");
    let native = native_python();
    let script = script(&format!("both/{name}.py"));
    let names = Names::new();
    let native = Ended::of(
        Command::new(native)
            .arg(&script)
            .arg(names.prefix())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null()),
    );
    assert_eq!((native.code, &*native.stderr), (Some(0), ""), "{native:?}");
    let flags = all_of(&names);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let guest = python.run(&flags, &script, &[names.prefix()]);
    assert_eq!((guest.code, &*guest.stderr), (Some(0), ""), "{guest:?}");
    // Names that are as random as the prefix differ, so they are not printed.
    let lines = |said: &str| said.lines().map(str::to_owned).collect::<Vec<_>>();
    let (native, guest) = (lines(&native.stdout), lines(&guest.stdout));
    let differs = native
        .iter()
        .zip(&guest)
        .find(|(native, guest)| native != guest);
    assert_eq!(differs, None, "native, guest");
    assert_eq!(native.len(), guest.len());
    assert_eq!(names.existing(), [""; 0]);
}

macro_rules! same {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            says_the_same(stringify!($name));
        }
    )*};
}

same! { semaphores segments maps queues names module notifications descriptors numbers selecting }

// ---- what is better than there ---------------------------------------------------------

#[test]
fn what_is_a_crash_natively_is_an_exception() {
    let python = Runtime::find("python");
    let ended = python.run(&["--private"], &script("guest/differences.py"), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.ends_with("\nOK\n"), "{}", ended.stderr);
}

#[test]
fn a_map_that_is_the_object_and_one_that_is_not_hold_the_same() {
    let python = Runtime::find("python");
    let script = script("guest/mapped.py");
    let ended = python.run(&["--private", "--map"], &script, &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert_eq!(
        ended.lines(),
        [
            "the object: True",
            "alike: True",
            "True",
            "True",
            "True",
            "True",
            "b'\\x04\\x03\\x02\\x01'",
            "99 False",
            "True",
            "text",
            "5 5 b'text\\n'",
            "text",
            "text",
            "cannot close exported pointers exist",
            "400000 0 400000 b'text'",
            "True b'text'",
        ]
    );
}

#[test]
fn a_script_sends_and_writes_more_than_its_memory() {
    let text = r#"
import mmap, posix_ipc
queue = posix_ipc.MessageQueue("/q", posix_ipc.O_CREX)
memory = posix_ipc.SharedMemory("/m", posix_ipc.O_CREX, size=1 << 20)
map = mmap.mmap(memory.fd, memory.size)
message, block = b"7" * 8192, b"7" * (1 << 20)
for turn in range(1 << 15):
    queue.send(message)
    queue.receive()
for turn in range(256):
    map[:] = block
    map[:]
queue.block = False
for turn in range(10): queue.send(message)
# Where nothing can be sent at once, a message goes another way.
for turn in range(1 << 15):
    try: queue.send(message)
    except posix_ipc.BusyError: pass
for turn in range(100_000): posix_ipc.Semaphore("/a-name-of-some-length", posix_ipc.O_CREAT).close()
print("done")
"#;
    let output = output(text, &["--private", "--max-memory", "64MiB"]);
    assert_eq!(output, "done\n");
}

#[test]
fn too_little_memory_is_an_exception() {
    let text = r#"
import mmap, posix_ipc
memory = posix_ipc.SharedMemory("/m", posix_ipc.O_CREX, size=20 << 20)
map = mmap.mmap(memory.fd, memory.size)
for attempt in (lambda: map[:], lambda: map.read(), lambda: bytearray(memoryview(map))):
    kept = []
    map.seek(0)
    try:
        while True: kept.append(attempt())
    except MemoryError:
        print("MemoryError")
"#;
    let ended = run(text, &["--private", "--max-memory", "96MiB"], &[]);
    let expected = (Some(0), "MemoryError\n".repeat(3));
    assert_eq!((ended.code, ended.stdout), expected, "{}", ended.stderr);
}

#[test]
fn what_arrives_while_the_guest_waits() {
    let python = Runtime::find("python");
    let native = native_python();
    let names = Names::new();
    let mut set_up = Native::set_up(&[
        format!("q = mq.open {} create", names.name("jobs")),
        format!("r = sem.open {} create", names.name("ready")),
        format!("n = sem.open {} create", names.name("never")),
    ]);
    let sender = Running::start(
        Command::new(native)
            .arg(script("guest/sender.py"))
            .args([names.prefix(), "6"])
            .stdin(Stdio::null()),
    );
    let flags = all_of(&names);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let guest = python.run(&flags, &script("guest/waiting.py"), &[names.prefix()]);
    let sender = sender.end();
    assert_eq!((sender.code, &*sender.stderr), (Some(0), ""), "{guest:?}");
    assert_eq!(
        guest.lines(),
        [
            "['slept'] True",
            "a callback gives what is waited for",
            "The wait was interrupted by a signal ['signal']",
            "([], [], []) ['selected']",
            "event True",
            "event False True",
            "queue b'job 5'",
            "queue empty",
            "this wait has no end: a guest has one thread and no signals",
        ]
    );
    assert_eq!(set_up.run("sem.value n"), Ok("0".into()));
}

// ---- with a native partner -------------------------------------------------------------

/// Runs two partners, of which one is a guest, and gives what the first one says.
fn partners(guest_is_first: bool) -> (Vec<String>, Vec<String>) {
    let python = Runtime::find("python");
    let native = native_python();
    let names = Names::new();
    let flags = all_of(&names);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    for stem in ["jobs", "answers"] {
        names.name(stem);
    }
    let script = script("together/partner.py");
    let start = |role: &str, is_guest: bool| {
        let arguments = [role, names.prefix(), "500"];
        let mut command = if is_guest {
            python.command(&flags, &script, &arguments)
        } else {
            let mut command = Command::new(&native);
            command.arg(&script).args(arguments);
            command
        };
        let mut partner = Running::start(command.stdin(Stdio::piped()));
        assert_eq!(partner.line(), "ready");
        partner
    };
    let mut first = start("first", guest_is_first);
    let mut second = start("second", !guest_is_first);
    first.say("go");
    second.say("go");
    let said = |partner: Running| {
        let ended = partner.end();
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
        ended.stdout.lines().skip(1).map(str::to_owned).collect()
    };
    let said = (said(first), said(second));
    assert_eq!(names.existing(), [""; 0]);
    said
}

#[test]
fn a_guest_and_its_native_partner() {
    for guest_is_first in [true, false] {
        let (first, second) = partners(guest_is_first);
        assert_eq!(first, ["counted 1000", "total 249500"]);
        assert_eq!(second, ["read b'hello'"]);
    }
}

// ---- what a script is ------------------------------------------------------------------

#[test]
fn a_script_is_the_main_module() {
    let text = r#"
import os, sys, __main__
print(__name__, __file__ == os.path.join(os.getcwd(), "script.py"), __main__.sys is sys)
print(sys.argv[0] == __file__, sys.argv[1:], sys.path[0] == os.getcwd())
print(__spec__, __package__, __builtins__.len([1]))
def later(): return late
late = 1
print(later(), sys.version_info >= (3, 14))
if __name__ == "__main__": sys.exit()
"#;
    let ended = run(text, &[], &["--one", "two three", "", "ü"]);
    assert_eq!(
        ended.lines(),
        [
            "__main__ True True",
            "True ['--one', 'two three', '', 'ü'] True",
            "None None 1",
            "1 True",
        ]
    );
}

#[test]
fn exit_codes_are_passed_on() {
    for (text, code, stderr) in [
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(None)", 0, ""),
        ("import sys; sys.exit(0)", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit(True)", 1, ""),
        ("import sys; sys.exit(256 + 7)", 7, ""),
        ("import sys; sys.exit(-1)", 255, ""),
        ("import sys; sys.exit('why')", 1, "why\n"),
        ("raise SystemExit(4)", 4, ""),
        ("exit(5)", 5, ""),
        ("import os; os._exit(6)", 6, ""),
        (
            "import atexit, sys; atexit.register(sys.exit, 9)",
            0,
            "SystemExit",
        ),
        (
            "import sys\ntry: sys.exit(2)\nfinally: print('finally', file=sys.stderr)",
            2,
            "finally\n",
        ),
    ] {
        let ended = run(text, &[], &[]);
        assert_eq!(ended.code, Some(code), "{text}: {ended:?}");
        match stderr {
            "SystemExit" => {}
            stderr => assert_eq!(ended.stderr, stderr, "{text}"),
        }
    }
}

#[test]
fn an_exception_shows_the_lines_of_the_script() {
    let text = "import json\n\ndef fail(text):\n    return json.loads(text)\n\nfail('{')\n";
    let python = Runtime::find("python");
    let folder = Folder::new();
    let script = folder.file("script.py", text);
    let ended = python.run(&[], &script, &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let path = script.canonicalize().unwrap();
    let path = path.display();
    assert_eq!(lines[0], "Traceback (most recent call last):");
    assert_eq!(lines[1], format!("  File \"{path}\", line 6, in <module>"));
    assert_eq!(lines[2], "    fail('{')");
    assert!(
        ended
            .stderr
            .contains(&format!("  File \"{path}\", line 4, in fail"))
    );
    // The lines of the standard library are shown as well.
    assert!(
        ended
            .stderr
            .contains("    return _default_decoder.decode(s)"),
        "{}",
        ended.stderr
    );
    assert!(
        lines
            .last()
            .unwrap()
            .starts_with("json.decoder.JSONDecodeError: ")
    );
    assert!(
        !ended.stderr.contains("posix_ipc_runtime"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_syntax_error_shows_where() {
    let ended = run("x = 1\nprint('fine'\ny = 2\n", &[], &[]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!(lines[0].starts_with("  File \"") && lines[0].ends_with("script.py\", line 2"));
    assert_eq!(lines[1], "    print('fine'");
    assert_eq!(*lines.last().unwrap(), "SyntaxError: '(' was never closed");
    for (text, error) in [
        (&b"print('\xff')"[..], "SyntaxError: "),
        (b"\0", "SyntaxError: "),
        (b"# coding: latin-1\nprint('\xe9')", ""),
        (b"\xef\xbb\xbfprint('mark')", ""),
    ] {
        let python = Runtime::find("python");
        let folder = Folder::new();
        let ended = python.run(&[], &folder.file("script.py", text), &[]);
        match error {
            "" => assert_eq!((ended.code, &*ended.stderr), (Some(0), "")),
            error => assert!(ended.stderr.contains(error), "{ended:?}"),
        }
    }
}

#[test]
fn exceptions_of_exceptions() {
    let text = r#"
import sys
def hook(kind, error, traceback):
    print("hooked", kind.__name__, error, traceback.tb_lineno)
sys.excepthook = hook
raise ValueError("mine")
"#;
    let ended = run(text, &[], &[]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(1), "hooked ValueError mine 6\n")
    );
    assert_eq!(ended.stderr, "");
    let text = r#"
import atexit
atexit.register(print, "at exit")
try:
    {}["missing"]
except KeyError as error:
    raise RuntimeError("broken") from error
"#;
    let ended = run(text, &[], &[]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), "at exit\n"));
    let cause = "The above exception was the direct cause of the following exception:";
    assert!(ended.stderr.contains(cause), "{}", ended.stderr);
    assert_eq!(
        ended.stderr.matches("script.py").count(),
        2,
        "{}",
        ended.stderr
    );
}

#[test]
fn recursion_ends_in_an_exception() {
    let text = r#"
def plain(n): return plain(n + 1)
def through_c(n): return max([n], key=lambda x: through_c(x + 1))
class Shown:
    def __repr__(self): return repr(self)
for function in (plain, through_c, lambda n: repr(Shown())):
    try: function(0)
    except RecursionError as error: print(type(error).__name__)
"#;
    let output = output(text, &[]);
    assert_eq!(output, "RecursionError\n".repeat(3));
}

#[test]
fn a_loop_without_end_is_ended() {
    let text = "print('started')\nwhile True: pass\n";
    let start = Instant::now();
    let ended = run(text, &["--timeout", "2s"], &[]);
    // What was printed is not lost.
    assert_eq!((ended.code, &*ended.stdout), (Some(124), "started\n"));
    assert!(ended.stderr.contains("--timeout"), "{}", ended.stderr);
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_name_that_is_not_granted() {
    let text = r#"
import posix_ipc
for kind in (posix_ipc.Semaphore, posix_ipc.SharedMemory, posix_ipc.MessageQueue):
    for flags in (0, posix_ipc.O_CREAT, posix_ipc.O_CREX):
        try:
            kind("/secret", flags)
        except posix_ipc.PermissionsError as error:
            print(error.code, error)
for unlink in (posix_ipc.unlink_semaphore, posix_ipc.unlink_shared_memory):
    try:
        unlink("/secret")
    except posix_ipc.PermissionsError as error:
        print(error.code)
try:
    posix_ipc.SharedMemory(None, posix_ipc.O_CREX)
except posix_ipc.PermissionsError as error:
    print(error.code)
"#;
    let ended = run(text, &[], &[]);
    let denied = "not-permitted Permission denied: the host has not granted \"/secret\"\n";
    let expected = format!("{}{}", denied.repeat(9), "not-permitted\n".repeat(3));
    assert_eq!((ended.code, ended.stdout), (Some(0), expected));
    // The host says what would have allowed it.
    assert!(ended.stderr.contains("--sem /secret"), "{}", ended.stderr);
}

// ---- what a script can import ----------------------------------------------------------

#[test]
fn siblings_are_imported() {
    let python = Runtime::find("python");
    let folder = Folder::new();
    let package = folder.path().join("package");
    std::fs::create_dir(&package).unwrap();
    std::fs::write(package.join("__init__.py"), "from .part import *\n").unwrap();
    std::fs::write(package.join("part.py"), "value = 'from a package'\n").unwrap();
    folder.file("sibling.py", "import posix_ipc\nvalue = 'from a sibling'\n");
    // Natively this one is found before the standard library's.
    folder.file("shelve.py", "value = 'mine'\n");
    folder.file("random.py", "value = 'mine as well'\n");
    folder.file("os.py", "raise Exception('never imported')\n");
    folder.file("broken.py", "def f():\n    raise KeyError('deep')\n");
    let text = r#"
import os, tempfile
import package, sibling, shelve, random
print(package.value, sibling.value, shelve.value, random.value, os.name)
import broken
broken.f()
"#;
    let ended = python.run(&[], &folder.file("script.py", text), &[]);
    assert_eq!(
        ended.stdout,
        "from a package from a sibling mine mine as well posix\n"
    );
    assert!(
        ended
            .stderr
            .contains("broken.py\", line 2, in f\n    raise KeyError('deep')")
    );
    assert_eq!(ended.code, Some(1));
}

#[test]
fn the_shared_memory_of_multiprocessing() {
    let text = r#"
from multiprocessing.shared_memory import ShareableList, SharedMemory
one = SharedMemory("block", create=True, size=16)
two = SharedMemory("block")
one.buf[:5] = b"hello"
print(two.name, two.size, bytes(two.buf[:6]))
two.close()
one.close()
one.unlink()
try: SharedMemory("block")
except FileNotFoundError as error: print(error)
words = ShareableList(["a", 1, None])
print(list(ShareableList(name=words.shm.name)))
"#;
    let output = output(text, &["--private", "--map"]);
    assert_eq!(
        output,
        "block 16 b'hello\\x00'\n[Errno 44] No such file or directory: '/block'\n['a', 1, None]\n"
    );
}

#[test]
fn files_that_are_called_like_modules_are_none() {
    let python = Runtime::find("python");
    let folder = Folder::new();
    for name in ["posix_ipc.egg-info", "mmap.txt", "select.log", "random.pyx"] {
        folder.file(name, "no module");
    }
    // A folder comes after the runtime's module, unless it is a package.
    for name in ["json", "posix_ipc"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let text = r#"
import json, mmap, posix_ipc, random, select
memory = posix_ipc.SharedMemory("/m", posix_ipc.O_CREX, size=4)
print(mmap.mmap(memory.fd, 4)[:], json.loads("1"), random.choice([2]))
queue = posix_ipc.MessageQueue("/q", posix_ipc.O_CREX)
print(select.select([], [queue], [], 5)[1] == [queue])
"#;
    let ended = python.run(&["--private"], &folder.file("script.py", text), &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(ended.stdout, "b'\\x00\\x00\\x00\\x00' 1 2\nTrue\n");
}

#[test]
fn a_module_that_is_imported_anew_knows_what_is_open() {
    let text = r#"
import os, sys
import posix_ipc
memory = posix_ipc.SharedMemory("/m", posix_ipc.O_CREX, size=4)
queue = posix_ipc.MessageQueue("/q", posix_ipc.O_CREX)
heard = []
queue.request_notification((heard.append, "told"))
before = posix_ipc
for name in [name for name in sys.modules if name.partition(".")[0] in ("posix_ipc", "mmap")]:
    del sys.modules[name]
import mmap, posix_ipc
print(posix_ipc is before)
print(mmap.mmap(memory.fd, 4)[:], os.pread(memory.fd, 4, 0))
again = posix_ipc.MessageQueue("/q")
again.send("x")
print(heard, queue.receive(), again.mqd != queue.mqd)
os.close(memory.fd)
try: memory.size
except before.ExistentialError as error: print(error)
"#;
    let output = output(text, &["--private"]);
    let zeros = r"b'\x00\x00\x00\x00'";
    assert_eq!(
        output,
        format!("False\n{zeros} {zeros}\n['told'] (b'x', 0) True\nThe segment does not exist\n")
    );
}

#[test]
fn tracebacks_show_nothing_of_the_runtime() {
    let python = Runtime::find("python");
    let text = r#"
import os, posix_ipc, traceback
def close(): os.close(999)
for fail in (close, lambda: posix_ipc.Semaphore("/none"), lambda: __import__("broken")):
    try: fail()
    except Exception: traceback.print_exc()
posix_ipc.MessageQueue("/none").send("x")
"#;
    let folder = Folder::new();
    folder.file(
        "broken.py",
        "import posix_ipc\nposix_ipc.unlink_semaphore('/none')\n",
    );
    let ended = python.run(&["--private"], &folder.file("script.py", text), &[]);
    assert_eq!(ended.code, Some(1));
    let files = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("  File "));
    let others: Vec<&str> = files
        .filter(|line| !line.contains("script.py") && !line.contains("broken.py"))
        .collect();
    assert_eq!(others, [""; 0], "{}", ended.stderr);
    assert_eq!(
        ended.stderr.matches("Traceback").count(),
        4,
        "{}",
        ended.stderr
    );
}

#[test]
fn time_zones_can_be_imported() {
    let python = Runtime::find("python");
    let text = r#"
import datetime, zoneinfo
zone = zoneinfo.ZoneInfo("Europe/Berlin")
print(datetime.datetime(2026, 7, 1, tzinfo=zone).utcoffset())
"#;
    let zones = Folder::new();
    std::fs::create_dir(zones.path().join("Europe")).unwrap();
    zones.file(
        "Europe/Berlin",
        time_zone("CET", 3600, "CET-1CEST,M3.5.0,M10.5.0/3"),
    );
    let zones = format!("{}::/usr/share/zoneinfo", zones.path().display());
    let folder = Folder::new();
    let script = folder.file("script.py", text);
    let ended = python.run(&["--dir", &zones], &script, &[]);
    assert_eq!((&*ended.stderr, &*ended.stdout), ("", "2:00:00\n"));
}

/// A file of the time zone database (RFC 9636): one kind of local time, and a rule for
/// all years. A machine need not have that database.
fn time_zone(name: &str, offset: i32, rule: &str) -> Vec<u8> {
    let mut block = b"TZif2".to_vec();
    block.extend([0; 15]);
    let name = format!("{name}\0");
    for count in [0, 0, 0, 0, 1, name.len() as u32] {
        block.extend(count.to_be_bytes());
    }
    block.extend(offset.to_be_bytes());
    block.extend([0, 0]);
    block.extend(name.bytes());
    // The first block is for readers that know no other.
    [&*block, &*block, b"\n", rule.as_bytes(), b"\n"].concat()
}

#[test]
fn the_standard_library_is_there() {
    let text = r#"
import importlib, sys
missing = []
for name in sorted(sys.stdlib_module_names):
    if name.startswith("_") or name in "antigravity idlelib this turtledemo turtle".split():
        continue
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(name)
print(" ".join(missing))
print(importlib.import_module("mmap").__doc__.splitlines()[0])
"#;
    let output = output(text, &[]);
    let mut lines = output.lines();
    // Without a library of C's, a screen or another system there is nothing to them.
    assert_eq!(
        lines.next(),
        Some(
            "bz2 ctypes curses ensurepip fcntl grp lzma msvcrt nt pty pwd readline ssl \
             syslog termios tkinter tty venv winreg winsound"
        )
    );
    assert!(lines.next().unwrap().contains("`mmap` for a guest"));
}

#[test]
fn unit_tests_are_run() {
    let text = r#"
import unittest
from unittest import mock
class Numbers(unittest.TestCase):
    def test_good(self): self.assertEqual(1 + 1, 2)
    def test_bad(self): self.assertEqual(1 + 1, 3)
    def test_mock(self): mock.Mock(return_value=3).assert_not_called()
if __name__ == "__main__":
    unittest.main()
"#;
    let ended = run(text, &[], &["-v"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for line in [
        "test_good (__main__.Numbers.test_good) ... ok",
        "AssertionError: 2 != 3",
    ] {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
    assert!(
        ended.stderr.ends_with("FAILED (failures=1)\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn each_run_has_random_numbers_of_its_own() {
    let text = "import os, random, uuid\nprint(random.random(), os.urandom(8).hex(), uuid.uuid4())";
    let (one, other) = (output(text, &[]), output(text, &[]));
    for (one, other) in one.split(' ').zip(other.split(' ')) {
        assert_ne!(one, other);
    }
}

// ---- what a script has of the machine --------------------------------------------------

#[test]
fn the_streams_are_this_process_s() {
    let python = Runtime::find("python");
    let folder = Folder::new();
    let text = r#"
import sys
print(input("name? "))
print(sys.stdin.readline().strip(), len(sys.stdin.read()), file=sys.stderr)
sys.stdout.buffer.write(b"\xff\n")
print("ü ☃", sys.stdout.encoding)
"#;
    let script = folder.file("script.py", text);
    let mut command = python.command(&[], &script, &[]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    running.say("Ägypten");
    running.say("second");
    running.say("third");
    let ended = running.end();
    assert_eq!(ended.stderr, "second 6\n");
    assert!(ended.stdout.starts_with("name? Ägypten\n"), "{ended:?}");
    assert!(ended.stdout.ends_with("ü ☃ utf-8\n"), "{ended:?}");
}

#[test]
fn lines_are_passed_on_as_they_are_printed() {
    let python = Runtime::find("python");
    let folder = Folder::new();
    let script = folder.file("script.py", "print('a line')\ninput()\n");
    let mut command = python.command(&[], &script, &[]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    assert_eq!(running.line(), "a line");
    running.say("");
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_script_reads_its_folder_and_nothing_else() {
    let python = Runtime::find("python");
    let outer = Folder::new();
    let inner = outer.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    outer.file("secret.txt", "secret");
    std::fs::write(inner.join("data.txt"), "data").unwrap();
    std::os::unix::fs::symlink("../secret.txt", inner.join("link.txt")).unwrap();
    let text = r#"
import os, sys
print(open("data.txt").read(), sorted(os.listdir(".")))
for path in ("../secret.txt", "link.txt", os.path.abspath("../secret.txt"), "/etc/passwd", ".."):
    try:
        print(os.listdir(path) if path == ".." else open(path).read())
    except OSError:
        print("no", os.path.basename(path))
for action in (lambda: open("new.txt", "w"), lambda: os.remove("data.txt"), lambda: os.mkdir("d")):
    try:
        action()
        print("written")
    except OSError:
        print("not written")
print(dict(os.environ))
"#;
    let script = inner.join("script.py");
    std::fs::write(&script, text).unwrap();
    let files = "['data.txt', 'link.txt', 'script.py']";
    let nothing = "no secret.txt\nno link.txt\nno secret.txt\nno passwd\nno ..\n";
    let expected = format!("data {files}\n{nothing}{}{{}}\n", "not written\n".repeat(3));
    let ended = python.run(&[], &script, &[]);
    assert_eq!((ended.code, ended.stdout), (Some(0), expected));
    assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 3);

    // With --dir it is another matter.
    let inner_text = inner.to_str().unwrap();
    let ended = python.run(&["--dir", inner_text, "--env", "A=b"], &script, &[]);
    let expected = format!(
        "data {files}\n{nothing}{}{{'A': 'b'}}\n",
        "written\n".repeat(3)
    );
    assert_eq!((ended.code, ended.stdout), (Some(0), expected));
    assert!(inner.join("new.txt").exists() && !inner.join("data.txt").exists());
}

#[test]
fn folders_are_where_they_are_granted() {
    let python = Runtime::find("python");
    let folder = Folder::new();
    let elsewhere = Folder::new();
    elsewhere.file("library.py", "value = 'from elsewhere'\n");
    let text = r#"
import os, sys
print(open(sys.argv[1] + "/library.py").read(), end="")
import library
print(library.value)
"#;
    let script = folder.file("script.py", text);
    let host = elsewhere.path().to_str().unwrap();
    for (flag, guest) in [
        (host.to_owned(), elsewhere.path().canonicalize().unwrap()),
        (format!("{host}::/lib"), "/lib".into()),
        (format!("{host}::lib"), "lib".into()),
    ] {
        let guest = guest.to_str().unwrap();
        let path = format!("PYTHONPATH={guest}");
        let ended = python.run(&["--dir", &flag, "--env", &path], &script, &[guest]);
        assert_eq!(
            ended.lines(),
            ["value = 'from elsewhere'", "from elsewhere"],
            "{ended:?}"
        );
    }
}

#[test]
fn a_script_without_a_runtime() {
    let folder = Folder::new();
    let script = folder.file("script.py", "print(1)");
    let mut command = posix_ipc();
    command
        .env("POSIX_IPC_RUNTIMES", folder.path())
        .arg("run")
        .arg(&script);
    let ended = Ended::of(&mut command);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    for part in [
        "script.py needs the Python runtime",
        "`make runtimes`",
        "python.wasm",
    ] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn scripts_that_are_not_there() {
    let folder = Folder::new();
    for path in ["none.py", "folder.py"] {
        let path = folder.path().join(path);
        if path.ends_with("folder.py") {
            std::fs::create_dir(&path).unwrap();
        }
        let mut command = posix_ipc();
        let ended = Ended::of(command.arg("run").arg(&path));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.stderr.contains("cannot read the guest"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_home_is_not_given_to_a_script_unasked() {
    let python = Runtime::find("python");
    let folder = Folder::new();
    let script = folder.file("script.py", "import os; print(os.listdir())");
    let start = |home: &Path, flags: &[&str]| {
        Ended::of(python.command(flags, &script, &[]).env("HOME", home))
    };
    let inner = folder.path().join("me");
    std::fs::create_dir(&inner).unwrap();
    for home in [folder.path(), &inner] {
        let refused = start(home, &[]);
        assert_eq!((refused.code, &*refused.stdout), (Some(1), ""));
        assert!(refused.stderr.contains("your home folder"), "{refused:?}");
        let allowed = start(home, &["--dir", folder.path().to_str().unwrap()]);
        assert!(allowed.lines()[0].contains("'script.py'"), "{allowed:?}");
    }
}

#[test]
fn nothing_is_left_of_a_script() {
    let python = Runtime::find("python");
    let names = Names::new();
    names.name("left");
    let folder = Folder::new();
    let text = r#"
import posix_ipc, sys
name = "/" + sys.argv[1] + ".left"
posix_ipc.Semaphore(name, posix_ipc.O_CREX)
posix_ipc.SharedMemory(name, posix_ipc.O_CREX, size=10)
posix_ipc.MessageQueue(name, posix_ipc.O_CREX)
print("made")
sys.exit(3) if sys.argv[2] == "exit" else input()
"#;
    let script = folder.file("script.py", text);
    let grant = format!("{},create", names.pattern());
    let flags = ["--sem", &grant, "--shm", &grant, "--mq", &grant];
    let ended = python.run(&flags, &script, &[names.prefix(), "exit"]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(3), "made\n"),
        "{ended:?}"
    );
    assert_eq!(names.existing(), [""; 0]);
    let mut command = python.command(&flags, &script, &[names.prefix(), "wait"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    assert_eq!(running.line(), "made");
    assert_eq!(names.existing().len(), 3);
    running.signal(libc::SIGINT);
    assert_eq!(running.wait(), Some(130));
    assert_eq!(names.existing(), [""; 0]);
}

// ---- the manual ------------------------------------------------------------------------

#[test]
fn the_programs_of_the_manual_run() {
    let python = Runtime::find("python");
    let manual = repository().join("guest-sdk/python/README.md");
    for example in Example::all(&manual, "python") {
        let folder = Folder::new();
        let script = example.save(&folder.path().join("script.py"));
        let flags = ["--private", "--map", "--timeout", "60s"];
        let ended = python.run(&flags, &script, &[]);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{example:?}");
        example.assert_printed(&ended.stdout);
    }
}

#[test]
fn the_stubs_have_what_the_module_has() {
    let python = Runtime::find("python");
    let stubs = repository().join("guest-sdk/python/src/posix_ipc/__init__.pyi");
    let folder = Folder::new();
    folder.file("stubs.txt", std::fs::read(stubs).unwrap());
    let text = r#"
import ast, posix_ipc
stubs = ast.parse(open("stubs.txt").read())
names = set()
for node in stubs.body:
    if isinstance(node, ast.AnnAssign): names.add(node.target.id)
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)): names.add(node.name)
    if isinstance(node, ast.ClassDef) and hasattr(posix_ipc, node.name):
        theirs = {name for name in dir(getattr(posix_ipc, node.name)) if not name.startswith("_")}
        ours = {getattr(it, "name", None) or it.target.id for it in node.body
                if isinstance(it, (ast.FunctionDef, ast.AnnAssign))}
        if node.name in ("Semaphore", "SharedMemory", "MessageQueue"):
            assert theirs <= ours and {it for it in ours if it[0] != "_"} <= theirs, (theirs, ours)
names -= {"ErrorCode"}
assert set(posix_ipc.__all__) <= names, set(posix_ipc.__all__) - names
assert all(hasattr(posix_ipc, name) for name in names), names
print("the same")
"#;
    let ended = python.run(&[], &folder.file("script.py", text), &[]);
    assert_eq!(ended.lines(), ["the same"]);
}
