//! The committed guest bindings are what the WIT package says today.
//!
//! Guest authors build against committed bindings, so that neither a generator nor a
//! proc macro is part of their build. These tests generate them anew in memory and
//! compare. To accept a change of the WIT package or of the generator's version, run
//! `make bindings`, which runs them with `UPDATE_BINDINGS=1`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

/// The world with everything that a guest can import.
const WORLD: &str = "imports";

/// What the WIT package and that of the runtimes consist of.
const WIT: &str = "wit";
const RUNTIME_WIT: &str = "guest-sdk/wit";

#[test]
fn rust_bindings_are_current() -> Result<()> {
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        ownership: wit_bindgen_rust::Ownership::Borrowing {
            duplicate_if_necessary: true,
        },
        // The host writes through the buffers of these. The generator would take
        // them as `&[u8]`, which promises the compiler the opposite, so the SDK declares
        // these imports by hand, with a pointer to mutable bytes.
        skip: [
            "[method]segment.read-into",
            "read-into",
            "receive-into",
            "receive-batch",
        ]
        .map(String::from)
        .into(),
        ..Default::default()
    };
    let mut files = generate(&mut options.build(), &[WIT], WORLD, &["direct"])?;
    // The generator names the file after the world.
    let source = files.remove("imports.rs").context("no imports.rs")?;
    files.push("bindings.rs", &source);
    check("guest-sdk/rust/src", &files)
}

#[test]
fn javascript_runtime_bindings_are_current() -> Result<()> {
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        ..Default::default()
    };
    let world = "javascript";
    let mut files = generate(&mut options.build(), &[WIT, RUNTIME_WIT], world, &[])?;
    let source = files.remove("javascript.rs").context("no javascript.rs")?;
    files.push("bindings.rs", &source);
    check("guest-sdk/js/src", &files)
}

#[test]
fn c_bindings_are_current() -> Result<()> {
    let options = wit_bindgen_c::Opts {
        // The prefix of the files, and of the symbols that belong to no interface.
        rename_world: Some("posix-ipc".to_owned()),
        ..Default::default()
    };
    check(
        "guest-sdk/c",
        &generate(options.build().as_mut(), &[WIT], WORLD, &[])?,
    )
}

#[test]
fn go_bindings_are_current() -> Result<()> {
    let options = wit_bindgen_go::Opts {
        // The formatter is part of a tool chain that may be missing.
        format: wit_bindgen_go::Format::False,
        pkg_name: Some("posixipc/internal/bindings".to_owned()),
        quiet: true,
        ..Default::default()
    };
    let mut files = Files::default();
    for (name, text) in generate(options.build().as_mut(), &[WIT], WORLD, &[])?.iter() {
        // What is under the other folder is for exports, of which there are none.
        if name.starts_with("imports/") {
            // The SDK has its own of the module that bindings stand on: the published one
            // allocates where a collection ends the guest, and keeps what it allocated.
            let text = std::str::from_utf8(text)?;
            let text = text.replace("go.bytecodealliance.org/pkg/wit/", "posixipc/internal/wit/");
            files.push(name, text.as_bytes());
        }
    }
    check("guest-sdk/go/internal/bindings", &files)
}

/// Generates for a world of the last of the packages: everything stable, and these unstable
/// features.
fn generate(
    generator: &mut dyn WorldGenerator,
    packages: &[&str],
    world: &str,
    features: &[&str],
) -> Result<Files> {
    let mut resolve = Resolve::default();
    resolve
        .features
        .extend(features.iter().map(|feature| feature.to_string()));
    let mut last = Vec::new();
    for package in packages {
        last = vec![resolve.push_path(root().join(package))?.0];
    }
    let world = resolve.select_world(&last, Some(world))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    Ok(files)
}

/// Compares generated files with those in `folder`, or replaces those when
/// `UPDATE_BINDINGS=1` is set.
fn check(folder: &str, files: &Files) -> Result<()> {
    let update = std::env::var_os("UPDATE_BINDINGS").is_some_and(|value| value == "1");
    let mut stale = Vec::new();
    for (name, fresh) in files.iter() {
        let path = root().join(folder).join(name);
        if fs::read(&path).is_ok_and(|committed| committed == fresh) {
            continue;
        }
        if update {
            fs::create_dir_all(path.parent().context("no folder")?)?;
            fs::write(&path, fresh).with_context(|| format!("cannot write {path:?}"))?;
        } else {
            stale.push(PathBuf::from(folder).join(name));
        }
    }
    ensure!(
        stale.is_empty(),
        "not what wit/ generates: {stale:?}; run `make bindings` and commit the result"
    );
    Ok(())
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
