//! The how-to pages in `docs`: their programs run, and their links lead somewhere.

use crate::support::manual::Example;
use crate::support::program::guest_c;
use crate::support::scripts::Runtime;
use crate::support::{Ended, Folder, Names, posix_ipc, repository};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Does what a page tells its reader to do, in the order of the page: saves each program
/// under the name in its first line, runs the commands, and expects each output that the
/// page shows after them. The page's names start with `prefix`, as in `/shop.`; objects
/// get names of the test's own.
#[track_caller]
fn follow(page: &str, prefix: &str, environment: &[(&str, &Path)]) {
    let folder = Folder::new();
    let names = Names::new();
    let own = format!("{}.", names.start());
    let sdk = format!("{}/guest-sdk/", repository().display());
    let mut script = PROLOGUE.replace("OWN", &own);
    let mut shown: Vec<(usize, String)> = Vec::new();
    let mut step = 0;
    for example in Example::every(&repository().join("docs").join(page)) {
        for name in names_in(&example.text, prefix) {
            names.name(name);
        }
        let text = example
            .text
            .replace(prefix, &own)
            .replace("guest-sdk/", &sdk);
        match &*example.language {
            "sh" => {
                step += 1;
                script += &format!("echo '=== {step}'\n{text}");
            }
            "text" => shown.push((step, text)),
            _ => {
                folder.file(file_name(&text), &text);
            }
        }
    }
    script += "wait\n";

    let command = posix_ipc();
    let bin = Path::new(command.get_program()).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("bash");
    shell
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("CACHE", value(&command, "XDG_CACHE_HOME"))
        // Nobody else cleans up what the page leaves on purpose.
        .env(
            "XDG_RUNTIME_DIR",
            value(&command, "XDG_RUNTIME_DIR").join(names.prefix()),
        )
        .envs(environment.iter().copied())
        .args(["-c", &script]);
    std::fs::create_dir_all(value(&shell, "XDG_RUNTIME_DIR")).unwrap();
    let ended = Ended::of(&mut shell);
    for (step, text) in shown {
        let (_, rest) = ended.stdout.split_once(&format!("=== {step}\n")).unwrap();
        let said: Vec<String> = rest.lines().map(squeezed).collect();
        for line in text.lines().map(squeezed) {
            let line = line.replace(" you ", " ");
            assert!(
                said.iter().any(|said| said.contains(&line)),
                "{page}, after step {step}: {line:?} is not in {said:#?}"
            );
        }
    }
}

/// One output for all. The command's cache is that of the tests, while the tool chains are
/// where they always are. No sleep is too short for a busy machine, and no wait is for ever.
const PROLOGUE: &str = r#"exec 2>&1
export POSIX_IPC_TOOLS="${POSIX_IPC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/posix-ipc/tools}"
export XDG_CACHE_HOME=$CACHE
sleep() {
    command sleep "$1"
    for _ in {1..300}; do
        if [[ $(posix-ipc ls 'OWN*' | wc -l) -gt 1 ]]; then return; fi
        command sleep 0.1
    done
}
wait() {
    for job in $(jobs -p); do
        timeout 60 tail --pid="$job" -f /dev/null
        kill "$job" 2>/dev/null
    done
}
"#;

fn value(command: &Command, name: &str) -> PathBuf {
    let mut variables = command.get_envs();
    let found = variables.find_map(|(own, value)| value.filter(|_| own == name));
    found.unwrap_or_else(|| panic!("{name} is not set")).into()
}

/// The name of a file, which its first line starts with: `# worker.py: ...`.
fn file_name(text: &str) -> &str {
    let line = text.lines().next().unwrap();
    let name = line
        .split_whitespace()
        .find_map(|word| word.strip_suffix(':'));
    name.unwrap_or_else(|| panic!("{line:?} does not say the name of the file"))
}

fn names_in<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let end = |rest: &str| rest.find(|c: char| !c.is_ascii_lowercase());
    text.match_indices(prefix)
        .map(|(start, _)| &text[start + prefix.len()..])
        .map(|rest| &rest[..end(rest).unwrap_or(rest.len())])
        .filter(|name| !name.is_empty())
        .collect()
}

/// Without the owner of an object, and with one space where a column is padded.
fn squeezed(line: &str) -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    let words: Vec<&str> = line
        .split_whitespace()
        .filter(|word| *word != user)
        .collect();
    words.join(" ")
}

#[test]
fn the_tutorial_shows_what_happens() {
    let python = Runtime::find("python");
    follow(
        "tutorial.md",
        "/shop.",
        &[("POSIX_IPC_RUNTIMES", python.folder())],
    );
}

#[test]
fn a_buffer_is_shared_as_the_page_says() {
    let page = repository().join("docs/share-a-buffer.md");
    let folder = Folder::new();
    // So that a machine without a C compiler for guests says what it lacks.
    guest_c(&folder.file("frames.c", Example::only(&page, "c").text));
    follow("share-a-buffer.md", "/cam.", &[]);
}

#[test]
fn a_shell_script_uses_objects_as_the_page_says() {
    follow("scripts.md", "/shift.", &[]);
}

#[test]
fn several_programs_run_together_as_the_page_says() {
    follow("up.md", "/stall.", &[]);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = Vec::new();
    for folder in ["", "docs", "fuzz", "guest-examples", "guest-sdk"] {
        collect_pages(&repository().join(folder), !folder.is_empty(), &mut pages);
    }
    assert!(pages.len() > 15, "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let found = headings(&target).any(|heading| heading == anchor);
                assert!(found, "{}: no heading for {link}", page.display());
            }
        }
    }
}

fn collect_pages(folder: &Path, recurse: bool, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && recurse && !path.ends_with("target") {
            collect_pages(&path, true, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

/// The targets of links that lead to no other site.
fn links(markdown: &str) -> impl Iterator<Item = &str> {
    let targets = markdown.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://"))
}

/// The anchors of a page's headings, as GitHub makes them.
fn headings(page: &Path) -> impl Iterator<Item = String> {
    let text = std::fs::read_to_string(page).unwrap();
    let headings: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.replace(' ', "-"))
        .collect();
    let kept = |c: &char| c.is_alphanumeric() || "-_".contains(*c);
    headings
        .into_iter()
        .map(move |heading| heading.chars().filter(kept).collect())
}
