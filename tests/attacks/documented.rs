//! That `SECURITY.md` says what is.

use crate::support::repository;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn security() -> String {
    fs::read_to_string(repository().join("SECURITY.md")).unwrap()
}

/// The tests that it names, such as `tests/cli.rs::a_test`.
fn named() -> BTreeSet<String> {
    let text = security();
    let words = text.split('`').skip(1).step_by(2);
    words
        .filter(|word| word.contains(".rs::"))
        .map(String::from)
        .collect()
}

/// The functions of a file that are tests.
fn tests(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let after_attribute = text.split("#[test]\n").skip(1);
    let name = |rest: &str| {
        let line = rest.trim_start().lines().next()?;
        let name = line.strip_prefix("fn ")?.split('(').next()?;
        Some(name.to_owned())
    };
    after_attribute.filter_map(name).collect()
}

#[test]
fn every_test_that_is_named_exists() {
    let named = named();
    assert!(named.len() > 60, "{named:#?}");
    for test in named {
        let (file, name) = test.split_once("::").unwrap();
        let tests = tests(&repository().join(file));
        assert!(tests.contains(name), "{test} does not exist");
    }
}

#[test]
fn every_attack_is_named() {
    let named = named();
    for entry in fs::read_dir(repository().join("tests/attacks")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        if file == "documented.rs" {
            continue;
        }
        for test in tests(&path) {
            let test = format!("tests/attacks/{file}::{test}");
            assert!(named.contains(&test), "{test} is not in SECURITY.md");
        }
    }
}

#[test]
fn every_class_of_attacks_has_a_test() {
    let text = security();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let number: u32 = cells.next()?.parse().ok()?;
        Some((number, cells.nth(1)?.contains(".rs::")))
    });
    let rows: Vec<(u32, bool)> = rows.collect();
    let expected: Vec<(u32, bool)> = (1..=rows.len() as u32).map(|n| (n, true)).collect();
    assert_eq!(rows, expected);
    assert!(rows.len() >= 30);
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn unsafe_code_is_counted() {
    let mut files = Vec::new();
    rust_files(&repository().join("src"), &mut files);
    let count = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let kinds = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"];
        let in_line = |line: &str| {
            kinds
                .iter()
                .map(|kind| line.matches(kind).count())
                .sum::<usize>()
        };
        let file = path.strip_prefix(repository()).unwrap();
        (
            file.to_str().unwrap().to_owned(),
            code.map(in_line).sum::<usize>(),
        )
    };
    let counted: BTreeMap<String, usize> = files
        .iter()
        .map(count)
        .filter(|(_, count)| *count > 0)
        .collect();

    let text = security();
    let rows = text.lines().filter_map(|line| {
        let (file, rest) = line.strip_prefix("| `src/sys/")?.split_once("` | ")?;
        let count = rest.split(" | ").next()?.parse().ok()?;
        Some((format!("src/sys/{file}"), count))
    });
    let said: BTreeMap<String, usize> = rows.collect();
    assert_eq!(said, counted);
}
