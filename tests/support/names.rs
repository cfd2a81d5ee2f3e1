//! Names that no other test uses, and that are gone with their test.

use super::Native;
use super::language::escaped;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// Names with a prefix that nobody else has. Dropping it removes what has one of
/// them, whoever made it, also when the test panics.
pub struct Names {
    prefix: String,
    /// Queues are in no directory that could be looked through.
    given: Mutex<BTreeSet<String>>,
}

impl Names {
    pub fn new() -> Self {
        Self {
            prefix: format!("posix-ipc-test-{:016x}", rand::random::<u64>()),
            given: Mutex::default(),
        }
    }

    /// A name, with its slash. The same again for the same `stem`.
    pub fn name(&self, stem: &str) -> String {
        let name = format!("/{}.{stem}", self.prefix);
        self.given.lock().unwrap().insert(name.clone());
        name
    }

    /// Takes care of a queue whose name starts as these do.
    pub fn adopt(&self, queue: String) {
        assert!(queue[1..].starts_with(&self.prefix), "{queue}");
        self.given.lock().unwrap().insert(queue);
    }

    /// The pattern of a grant for all of them.
    pub fn pattern(&self) -> String {
        format!("/{}.*", self.prefix)
    }

    /// What allows a guest everything with all of them, of every kind.
    pub fn owned(&self) -> Vec<String> {
        let grant = format!("{},own", self.pattern());
        let flags = ["--sem", "--shm", "--mq"];
        flags
            .iter()
            .flat_map(|flag| [(*flag).to_owned(), grant.clone()])
            .collect()
    }

    /// How they all start, with the slash but without the dot.
    pub fn start(&self) -> String {
        format!("/{}", self.prefix)
    }

    /// The same without the slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What has one of these names now, such as `sem:/NAME`, in order. Of queues,
    /// those that were asked for by [`Self::name`].
    pub fn existing(&self) -> Vec<String> {
        let files = self.files();
        let mut found: Vec<String> = files
            .iter()
            .map(|file| match file.strip_prefix("sem.") {
                Some(name) => format!("sem:/{name}"),
                None => format!("shm:/{file}"),
            })
            .collect();
        let given = self.given.lock().unwrap();
        let queues = given.iter().filter(|name| exists("mq", name));
        found.extend(queues.map(|name| format!("mq:{name}")));
        found.sort();
        found
    }

    /// The files of semaphores and segments that have one of these names.
    fn files(&self) -> Vec<String> {
        let files = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        files
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .filter(|file| {
                let name = file.strip_prefix("sem.").unwrap_or(file);
                name.starts_with(&self.prefix)
            })
            .collect()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for file in self.files() {
            let _ = fs::remove_file(Path::new("/dev/shm").join(file));
        }
        let given = self.given.get_mut().unwrap_or_else(|e| e.into_inner());
        for name in &*given {
            let _ = Native::default().run(&format!("mq.unlink {}", escaped(name)));
        }
    }
}

/// Whether an object exists, as the system sees it.
pub fn exists(kind: &str, name: &str) -> bool {
    let name = name.trim_start_matches('/');
    match kind {
        "sem" => Path::new("/dev/shm").join(format!("sem.{name}")).exists(),
        "shm" => Path::new("/dev/shm").join(name).exists(),
        "mq" => {
            let line = format!("q = mq.open /{} access=read", escaped(name));
            let opened = Native::default().run(&line);
            !matches!(opened.err().as_deref(), Some("ENOENT" | "ENAMETOOLONG"))
        }
        other => panic!("not a kind: {other}"),
    }
}
