//! Programs that the tests compile, natively and for the sandbox, and run side by side.

// Each test is a program of its own and uses a part of this.
#![allow(dead_code)]

#[allow(clippy::duplicate_mod)]
pub mod manual;
#[allow(clippy::duplicate_mod)]
mod runtimes;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing here takes so long: whoever waits this long has met a bug.
const FOREVER: Duration = Duration::from_secs(120);

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that was built.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// One that the system runs.
    Native(PathBuf),
    /// One that another program runs.
    Script(PathBuf, PathBuf),
    /// A component, or a script that a runtime of the command's runs.
    Guest(PathBuf),
}

impl Program {
    /// Starts it. What a native one may do is not asked; a guest may do what it likes
    /// with the names under `names`.
    pub fn start<S: AsRef<OsStr>>(
        &self,
        names: &Names,
        arguments: impl IntoIterator<Item = S>,
    ) -> Running {
        let grant = format!("{}.*,own", names.prefix());
        self.start_with(
            ["--sem", "--shm", "--mq"]
                .map(|kind| [kind, &grant])
                .concat(),
            arguments,
        )
    }

    /// Starts it, a guest with these options of `posix-ipc run`.
    pub fn start_with<O: AsRef<OsStr>, S: AsRef<OsStr>>(
        &self,
        options: impl IntoIterator<Item = O>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Running {
        Running::new(self.command(options).args(arguments))
    }

    /// What starts it, without arguments: a guest with these options of `posix-ipc run`.
    pub fn command<O: AsRef<OsStr>>(&self, options: impl IntoIterator<Item = O>) -> Command {
        match self {
            Self::Native(program) => Command::new(program),
            Self::Script(interpreter, script) => {
                let mut command = Command::new(interpreter);
                command.arg(script);
                command
            }
            Self::Guest(component) => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_posix-ipc"));
                command.arg("run").args(options).arg(component);
                command
            }
        }
    }
}

/// A program that runs. Killed on drop, if it still does.
pub struct Running {
    shown: String,
    child: Child,
    streams: Option<[JoinHandle<Vec<u8>>; 2]>,
}

impl Running {
    fn new(command: &mut Command) -> Self {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = format!("{command:?}");
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        let streams = [
            drain(child.stdout.take().unwrap()),
            drain(child.stderr.take().unwrap()),
        ];
        Self {
            shown,
            child,
            streams: Some(streams),
        }
    }

    /// Waits for its end.
    pub fn end(mut self) -> Output {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > FOREVER {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let output = self
                    .streams()
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                panic!("does not end: {}\n{}", self.shown, output.concat());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let [stdout, stderr] = self.streams();
        Output {
            status,
            stdout,
            stderr,
        }
    }

    /// What it writes, if it ends well.
    #[track_caller]
    pub fn output(self) -> String {
        let shown = self.shown.clone();
        let output = self.end();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        assert!(status.success(), "{shown}: {status}\n{stdout}{stderr}");
        stdout
    }

    fn streams(&mut self) -> [Vec<u8>; 2] {
        self.streams
            .take()
            .unwrap()
            .map(|stream| stream.join().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

/// A prefix for names that nobody else uses. What is left under it goes with the value;
/// of queues, which cannot be listed everywhere, those that `queue` named.
pub struct Names {
    prefix: String,
    queues: Mutex<Vec<String>>,
}

impl Names {
    pub fn new() -> Self {
        Self {
            prefix: format!("/posix-ipc-test-{:016x}", rand::random::<u64>()),
            queues: Mutex::default(),
        }
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }

    /// A name of a queue that a program is told of.
    pub fn queue(&self, suffix: &str) -> String {
        let name = self.name(suffix);
        self.queues.lock().unwrap().push(name.clone());
        name
    }

    /// The semaphores and segments under the prefix that exist.
    pub fn files(&self) -> Vec<PathBuf> {
        let stem = &self.prefix[1..];
        let ours = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.strip_prefix("sem.").unwrap_or(&name).starts_with(stem)
        };
        let entries = std::fs::read_dir("/dev/shm").unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(ours)
            .collect()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for path in self.files() {
            let _ = std::fs::remove_file(path);
        }
        for name in self.queues.get_mut().unwrap() {
            let name = std::ffi::CString::new(name.as_str()).unwrap();
            // SAFETY: the name is a C string.
            unsafe { libc::mq_unlink(name.as_ptr()) };
        }
    }
}

/// A C program built by the system's compiler.
pub fn native_c(source: &Path) -> Program {
    let program = build(source, "native", |output| {
        let mut command = Command::new("cc");
        command.args(["-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-pthread"]);
        command.arg(source).arg("-o").arg(output).arg("-lrt");
        command
    });
    Program::Native(program.expect("a C compiler is part of every Rust tool chain on Linux"))
}

/// The same program, built for the sandbox.
pub fn guest_c(source: &Path) -> Option<Program> {
    let compiler = repository().join("guest-sdk/c/posix-ipc-cc");
    let guest = build(source, "c.wasm", |output| {
        let mut command = Command::new(compiler);
        command.args(["-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra"]);
        command.arg(source).arg("-o").arg(output);
        command
    });
    guest_or_skip(guest, "C")
}

/// A Go program, the main package in a folder, built for the sandbox.
pub fn guest_go(folder: &Path) -> Option<Program> {
    let builder = repository().join("guest-sdk/go/posix-ipc-go");
    let guest = build(folder, "go.wasm", |output| {
        let mut command = Command::new(builder);
        command.arg("build").arg("-o").arg(output).arg(folder);
        command
    });
    guest_or_skip(guest, "Go")
}

/// A Rust program, the package in a folder, built for the sandbox.
pub fn guest_rust(folder: &Path) -> Option<Program> {
    let target = repository().join("target/guests").join(stem(folder));
    let guest = build(folder, "rust.wasm", |output| {
        let mut command = Command::new("sh");
        // Cargo does not say where it puts what it builds.
        let script = r#"
            set -e
            tools=${POSIX_IPC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/posix-ipc/tools}
            if [ -r "$tools/env.sh" ]; then . "$tools/env.sh"; fi
            export RUSTC="${POSIX_IPC_GUEST_RUSTC:-rustc}"
            if ! [ -d "$("$RUSTC" --print target-libdir --target wasm32-wasip2)" ]; then
                echo "no wasm32-wasip2; run tools/setup-guests rust" >&2
                exit 127
            fi
            cd "$1"
            env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS \
                cargo build --quiet --release --target wasm32-wasip2 --target-dir "$2"
            cp "$2"/wasm32-wasip2/release/*.wasm "$3"
        "#;
        command
            .args(["-c", script, "sh"])
            .arg(folder)
            .arg(target)
            .arg(output);
        command
    });
    guest_or_skip(guest, "Rust")
}

/// A script for the sandbox, in `python` or `js`.
pub fn guest_script(language: &str, script: &Path) -> Option<Program> {
    let built = runtimes::runtime(language);
    guest_or_skip(built.map(|_| script.to_owned()), language)
}

/// A Python script, run by a native Python that has the module `posix_ipc`.
pub fn peer_python(script: &Path) -> Option<Program> {
    let find = r#"
        tools="${POSIX_IPC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/posix-ipc/tools}"
        if [ -r "$tools/env.sh" ]; then . "$tools/env.sh"; fi
        "${POSIX_IPC_PEER_PYTHON:-python3}" -c 'import sys, posix_ipc; print(sys.executable)'
    "#;
    let output = Command::new("sh").args(["-c", find]).output();
    match output {
        Ok(output) if output.status.success() => {
            let python = String::from_utf8(output.stdout).unwrap();
            Some(Program::Script(python.trim().into(), script.to_owned()))
        }
        _ => {
            skip("no native Python with posix_ipc; run tools/setup-guests peers");
            None
        }
    }
}

fn guest_or_skip(guest: Result<PathBuf, String>, language: &str) -> Option<Program> {
    match guest {
        Ok(path) => Some(Program::Guest(path)),
        Err(why) => {
            skip(&format!("no {language} guest: {why}"));
            None
        }
    }
}

/// Says that something cannot be tested here; where nothing may be skipped, it fails.
pub fn skip(why: &str) {
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test").to_owned();
    let required = std::env::var_os("POSIX_IPC_REQUIRE_GUESTS").is_some_and(|value| value == "1");
    assert!(!required, "{why}");
    eprintln!("SKIPPED: {test}: {why}");
}

/// Builds something once in this process. Other processes may build the same at the same
/// time: what is built moves into its place when it is whole.
fn build(
    source: &Path,
    suffix: &str,
    command: impl FnOnce(&Path) -> Command,
) -> Result<PathBuf, String> {
    type Built = HashMap<(PathBuf, String), Result<PathBuf, String>>;
    static BUILT: LazyLock<Mutex<Built>> = LazyLock::new(Mutex::default);
    let mut built = BUILT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let key = (source.to_owned(), suffix.to_owned());
    if let Some(done) = built.get(&key) {
        return done.clone();
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.{suffix}", stem(source)));
    let fresh = place.with_extension(format!("{:016x}", rand::random::<u64>()));
    let mut command = command(&fresh);
    let done = match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            std::fs::rename(&fresh, &place).unwrap();
            Ok(place)
        }
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            // As of a shell whose command is missing. What is there and fails is a bug.
            assert_eq!(output.status.code(), Some(127), "{command:?}:\n{stderr}");
            Err(stderr.trim().to_owned())
        }
        Err(error) => Err(format!("{command:?}: {error}")),
    };
    built.insert(key, done.clone());
    done
}

/// A name for what is built of something.
fn stem(source: &Path) -> String {
    let path = source.strip_prefix(repository()).unwrap_or(source);
    path.with_extension("").to_string_lossy().replace('/', "-")
}

/// Puts a text into a file for a test to build.
pub fn scratch_file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}
