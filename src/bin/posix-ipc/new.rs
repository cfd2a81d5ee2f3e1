//! `posix-ipc new`: a small project that builds and runs.

use crate::{files, output, types};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make a small project that builds and runs
///
/// It is a guest that sends itself a message through a queue. Its README has three
/// commands: build it, learn which grants it needs, run it with these.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc new python hello
  posix-ipc new rust ~/src/worker --sdk ~/src/posix-ipc/guest-sdk")]
pub struct Args {
    /// The language
    #[arg(value_name = "LANG", value_enum)]
    language: Language,

    /// The folder to make. Its name becomes that of the project
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// The folder guest-sdk of the source tree, which projects in Rust, C and Go are built
    /// with. It need not be named where this program is in its source tree
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    C,
    Go,
    Python,
    Js,
}

/// The path of a file in a project, and its text.
type Template = (&'static str, &'static str);

const RUST: [Template; 4] = [
    ("Cargo.toml", include_str!("new/rust/Cargo.toml.txt")),
    ("src/main.rs", include_str!("new/rust/main.rs")),
    ("README.md", include_str!("new/rust/README.md.txt")),
    (".gitignore", "/target\n"),
];

const C: [Template; 3] = [
    ("main.c", include_str!("new/c/main.c")),
    ("README.md", include_str!("new/c/README.md.txt")),
    (".gitignore", "*.wasm\n"),
];

const GO: [Template; 5] = [
    ("go.mod", include_str!("new/go/go.mod.txt")),
    ("go.work", include_str!("new/go/go.work.txt")),
    ("main.go", include_str!("new/go/main.go.txt")),
    ("README.md", include_str!("new/go/README.md.txt")),
    (".gitignore", "*.wasm\n"),
];

const PYTHON: [Template; 2] = [
    ("main.py", include_str!("new/python/main.py")),
    ("README.md", include_str!("new/python/README.md.txt")),
];

const JAVASCRIPT: [Template; 3] = [
    ("main.js", include_str!("new/js/main.js")),
    ("jsconfig.json", include_str!("new/js/jsconfig.json")),
    ("README.md", include_str!("new/js/README.md.txt")),
];

/// Where the SDKs are, as seen from the folder of this program: in the source tree, and in
/// an installation.
const SDK_FOLDERS: [&str; 2] = ["../../guest-sdk", "../share/posix-ipc/guest-sdk"];

impl Language {
    fn templates(self) -> &'static [Template] {
        match self {
            Self::Rust => &RUST,
            Self::C => &C,
            Self::Go => &GO,
            Self::Python => &PYTHON,
            Self::Js => &JAVASCRIPT,
        }
    }

    /// What editors look at, and the folder in which they do.
    fn types(self) -> (&'static str, &'static [Template]) {
        match self {
            Self::Python => ("typings", &types::PYTHON),
            Self::Js => ("types", &types::JAVASCRIPT),
            _ => ("", &[]),
        }
    }

    fn is_script(self) -> bool {
        matches!(self, Self::Python | Self::Js)
    }
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let folder = self.folder.display();
        let name = self.folder.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| is_name(name)) else {
            bail!(
                "the name of the folder {folder} becomes that of the project: it starts with a \
                 letter, and goes on with letters, digits, '-' and '_', 64 at most"
            );
        };
        let sdk = match self.language.is_script() {
            true => String::new(),
            false => self.sdk()?,
        };
        let is_free = match self.folder.read_dir() {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if !is_free {
            bail!("{folder} exists and is no empty folder; name one that does not exist");
        }
        for (path, text) in self.language.templates() {
            write_new(&self.folder.join(path), &filled(text, name, &sdk))?;
        }
        let (types, declarations) = self.language.types();
        for (path, text) in declarations {
            write_new(&self.folder.join(types).join(path), text)?;
        }
        output::write(&format!(
            "{folder} is made; its README.md says how to go on\n"
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The folder of the SDKs.
    fn sdk(&self) -> Result<String> {
        let found = match &self.sdk {
            Some(folder) => is_sdk(folder).then(|| folder.clone()),
            None => {
                let program =
                    std::env::current_exe().context("cannot tell where this program is")?;
                let own = program.parent().unwrap_or(Path::new("/"));
                let folders = SDK_FOLDERS.iter().map(|folder| own.join(folder));
                folders.into_iter().find(|folder| is_sdk(folder))
            }
        };
        let Some(found) = found else {
            let place = match &self.sdk {
                Some(folder) => format!("{} is not it", folder.display()),
                None => "it is not beside this program".into(),
            };
            bail!(
                "the project is built with the folder guest-sdk of the source tree, and {place}; \
                 name it with --sdk DIR"
            );
        };
        let path = found
            .canonicalize()
            .with_context(|| format!("cannot use {}", found.display()))?;
        match path
            .to_str()
            .filter(|path| !path.contains(char::is_control))
        {
            Some(path) => Ok(path.to_owned()),
            None => bail!("the path {path:?} cannot be written into the files of a project"),
        }
    }
}

fn is_sdk(folder: &Path) -> bool {
    folder.join("rust/Cargo.toml").is_file() && folder.join("c/posix-ipc-cc").is_file()
}

/// Whether it can be the name of a package in each language, and part of a queue's name.
fn is_name(name: &str) -> bool {
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(goes_on)
}

/// A template with what it leaves open: the project's name, and the folder of the SDKs as
/// TOML, Go and the shell quote it.
fn filled(template: &str, name: &str, sdk: &str) -> String {
    template
        .replace("{{name}}", name)
        .replace("{{sdk-toml}}", &quoted(&format!("{sdk}/rust")))
        .replace("{{sdk-go}}", &quoted(&format!("{sdk}/go")))
        .replace("{{sdk-shell}}", &shell(sdk))
}

/// A text in the quotes of TOML and of Go, which are the same for what a path here can be.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match text.chars().all(plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Writes a file that does not exist.
fn write_new(path: &Path, text: &str) -> Result<()> {
    files::make_folder_of(path)?;
    File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_packages() {
        for name in ["a", "worker", "my-worker_2", &"a".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "2a", "-a", "a b", "a.b", "é", "a/b", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn paths_are_quoted() {
        assert_eq!(filled("{{sdk-shell}}/c", "a", "/x/y-z"), "/x/y-z/c");
        assert_eq!(filled("{{sdk-shell}}", "a", "/it's a"), r"'/it'\''s a'");
        assert_eq!(filled("{{sdk-toml}}", "a", "/b\"c"), r#""/b\"c/rust""#);
    }

    #[test]
    fn nothing_is_left_open() {
        for language in Language::value_variants() {
            for (path, text) in language.templates() {
                let text = filled(text, "worker", "/sdk");
                assert!(!text.contains("{{"), "{path}: {text}");
            }
        }
    }
}
