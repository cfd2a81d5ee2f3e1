//! What this program has on the machine: runtimes, folders, and tools that build guests.

use super::Finding;
use crate::ledger::LedgerOptions;
use crate::{cache, runtime};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-wasip2";

pub fn findings(options: &LedgerOptions) -> Vec<Finding> {
    let mut findings: Vec<Finding> = runtime::runtimes()
        .map(|(language, found)| match found {
            Ok(path) => Finding::ok("scripts", language, path.display().to_string()),
            Err(missing) => Finding::ok("scripts", language, missing.to_string()).note(
                "run `make runtimes` or `make install` in the source tree, or set \
                 POSIX_IPC_RUNTIMES to the folder that has the runtime",
            ),
        })
        .collect();
    findings.extend([compiled_guests(), ledger(options)]);
    findings.extend(tools());
    findings
}

fn compiled_guests() -> Finding {
    const CHECK: &str = "compiled guests";
    let found = |text: String| Finding::ok("folders", CHECK, text);
    match (cache::path(), cache::folder(), cache::bound()) {
        (Ok(path), Ok(folder), Ok(bound)) => {
            let content = cache::content(&folder);
            found(format!("{}: {content} (at most {bound})", path.display()))
        }
        (_, _, Err(error)) => found(format!("{error:#}")).note(
            "guests are kept without a bound; set POSIX_IPC_CACHE_SIZE to a size such as 1GiB",
        ),
        (_, Err(error), _) | (Err(error), _, _) => found(format!("{error:#}")).note(
            "each run compiles its guest, which takes seconds for a script; make the folder \
             this user's alone, or set XDG_CACHE_HOME",
        ),
    }
}

fn ledger(options: &LedgerOptions) -> Finding {
    const CHECK: &str = "ledgers";
    match options.folder() {
        Ok(folder) => Finding::ok("folders", CHECK, folder.path().display().to_string()),
        Err(error) => Finding::ok("folders", CHECK, format!("{error:#}")).note(
            "if a host is killed, what its guests created stays; set POSIX_IPC_LEDGER to a folder \
             that this user can write to",
        ),
    }
}

/// What `tools/setup-guests` sets up for those who build guests.
fn tools() -> Vec<Finding> {
    let known = environment();
    let of = |name: &str| known.get(name).filter(|value| !value.is_empty());
    let program = |check, language, names: &[&str]| {
        let found: Vec<&String> = names.iter().filter_map(|name| of(name)).collect();
        let works = found.len() == names.len() && found.iter().all(|path| is_program(path));
        let shown = found.first().map_or("", |path| path.as_str());
        match (works, shown) {
            (true, shown) => Finding::ok("tools", check, shown),
            (false, "") => missing(check, "not set up".into(), language),
            (false, shown) => missing(check, format!("{shown} is not complete"), language),
        }
    };
    vec![
        rust(of("POSIX_IPC_GUEST_RUSTC").map_or("rustc", String::as_str)),
        program("C", "c", &["POSIX_IPC_GUEST_CC"]),
        program(
            "Go",
            "go",
            &["POSIX_IPC_GUEST_GO", "POSIX_IPC_COMPONENTIZE"],
        ),
        program(
            "Python's runtime",
            "python",
            &["POSIX_IPC_COMPONENTIZE_PY", "POSIX_IPC_BULK_MEMORY"],
        ),
    ]
}

fn missing(check: &'static str, found: String, language: &str) -> Finding {
    Finding::ok("tools", check, found).note(format!(
        "only for building guests: run `tools/setup-guests {language}` in the source tree"
    ))
}

/// Whether a compiler has the standard library of guests.
fn rust(compiler: &str) -> Finding {
    const CHECK: &str = "Rust";
    let output = Command::new(compiler)
        .args(["--print", "target-libdir", "--target", TARGET])
        .stdin(Stdio::null())
        .output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return missing(CHECK, format!("{compiler} does not run"), "rust");
    };
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    let has_std = folder.read_dir().is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_str().is_some_and(is_std)))
    });
    match has_std {
        true => Finding::ok(
            "tools",
            CHECK,
            format!("{compiler} has the target {TARGET}"),
        ),
        false => missing(
            CHECK,
            format!("{compiler} lacks the target {TARGET}"),
            "rust",
        ),
    }
}

fn is_program(path: &str) -> bool {
    use nix::unistd::{AccessFlags, access};
    Path::new(path).is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// What `env.sh` of the tools says: lines such as `export NAME='VALUE'`. It is read, not
/// run. What is in the environment already counts more.
fn environment() -> HashMap<String, String> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    let caches = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    let tools = folder("POSIX_IPC_TOOLS").or_else(|| Some(caches()?.join("posix-ipc/tools")));
    let text = tools.and_then(|tools| std::fs::read_to_string(tools.join("env.sh")).ok());
    let mut known: HashMap<String, String> = text
        .unwrap_or_default()
        .lines()
        .filter_map(setting)
        .collect();
    known.extend(std::env::vars().filter(|(name, _)| name.starts_with("POSIX_IPC_")));
    known
}

/// A line as `tools/setup-guests` writes it.
fn setting(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
    let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
    Some((name.into(), value.replace(r"'\''", "'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_written() {
        let read = |line| setting(line).map(|(name, value)| format!("{name} {value}"));
        assert_eq!(read("export A='/b c'").as_deref(), Some("A /b c"));
        assert_eq!(read(r"export A='it'\''s'").as_deref(), Some("A it's"));
        assert_eq!(read("export A=''").as_deref(), Some("A "));
        assert_eq!(read("# a comment"), None);
        assert_eq!(read("export A=b"), None);
    }
}
