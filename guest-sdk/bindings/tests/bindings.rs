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
    let packages = [WIT, RUNTIME_WIT];
    let mut files = generate(&mut options.build(), &packages, "rust", &["direct"])?;
    // The generator names the file after the world.
    let source = files.remove("rust.rs").context("no rust.rs")?;
    // What an import is on targets that have none.
    let source = std::str::from_utf8(&source)?.replace("unreachable!()", "crate::native::call()");
    files.push("bindings.rs", source.as_bytes());
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
    let mut files = generate(options.build().as_mut(), &[WIT], WORLD, &[])?;
    let header = files.remove("posix_ipc.h").context("no posix_ipc.h")?;
    let header = with_reserved_names(std::str::from_utf8(&header)?);
    files.push("posix_ipc.h", header.as_bytes());
    check("guest-sdk/c", &files)
}

/// Gives each function of a header a name for the linker that no program may have. Programs
/// are linked with the library, and may have bindings of their own for the same interfaces.
fn with_reserved_names(header: &str) -> String {
    let declaration = |line: &str| {
        let (before, _) = line.strip_suffix(");")?.split_once('(')?;
        let name = before.rsplit([' ', '*']).next()?;
        let name = name.strip_prefix("posix_ipc_").unwrap_or(name);
        let start = line.strip_suffix(';')?;
        Some(format!("{start} __asm__(\"__posix_ipc_{name}\");\n"))
    };
    let line = |line: &str| declaration(line).unwrap_or_else(|| format!("{line}\n"));
    header.lines().map(line).collect()
}

#[test]
fn python_runtime_bindings_are_current() -> Result<()> {
    let options = wit_bindgen_c::Opts {
        rename_world: Some("native".to_owned()),
        ..Default::default()
    };
    check(
        "guest-sdk/python/native/bindings",
        &generate(
            options.build().as_mut(),
            &[WIT, RUNTIME_WIT],
            "python-native",
            &["direct"],
        )?,
    )
}

#[test]
fn go_bindings_are_current() -> Result<()> {
    let options = wit_bindgen_go::Opts {
        // The formatter is part of a tool chain that may be missing.
        format: wit_bindgen_go::Format::False,
        pkg_name: Some(format!("{GO_MODULE}/internal/bindings")),
        quiet: true,
        ..Default::default()
    };
    let mut files = Files::default();
    for (name, text) in generate(options.build().as_mut(), &[WIT], WORLD, &[])?.iter() {
        // What is under the other folder is for exports, of which there are none. Files of
        // assembler, which allow functions without bodies, are not needed: all have one.
        let Some(folder) = name.strip_suffix("/wit_bindings.go") else {
            continue;
        };
        if name.starts_with("imports/") {
            let [bindings, imports, stubs] = go_files(std::str::from_utf8(text)?)?;
            files.push(name, bindings.as_bytes());
            files.push(&format!("{folder}/imports_wasm.go"), imports.as_bytes());
            files.push(&format!("{folder}/imports_other.go"), stubs.as_bytes());
        }
    }
    check("guest-sdk/go/internal/bindings", &files)
}

const GO_MODULE: &str = "github.com/posix-ipc/posix-ipc/guest-sdk/go";

/// A generated file of Go's, as three: what calls the host, the host's functions, and what
/// stands for those where a program is built for something else than a guest, as editors and
/// `go vet` do.
fn go_files(text: &str) -> Result<[String; 3]> {
    // The SDK has its own of the module that bindings stand on: the published one allocates
    // where a collection ends the guest, and keeps what it allocated. Its memory needs no
    // pinning: the collector moves nothing, and does not run during a call.
    let text = text
        .replace(
            "go.bytecodealliance.org/pkg/wit/",
            &format!("{GO_MODULE}/internal/wit/"),
        )
        .replace("pinner := &runtime.Pinner{}\ndefer pinner.Unpin()\n", "")
        .replace("witRuntime.Allocate(pinner, ", "witRuntime.Allocate(")
        .replace("pinner.Pin(", "witRuntime.Keep(");
    let text = match text.contains("runtime.AddCleanup") {
        true => text,
        false => text.replace("\"runtime\"\n", ""),
    };
    let package = text.lines().find(|line| line.starts_with("package "));
    let package = package.context("no package")?;
    let head = "// Generated by `wit-bindgen`, see guest-sdk/bindings. DO NOT EDIT!\n\n";
    let mut bindings = Vec::new();
    let mut imports = vec![format!("{head}{package}")];
    let mut stubs = vec![format!("{head}//go:build !wasm\n\n{package}")];
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(import) = line.strip_prefix("//go:wasmimport ") else {
            bindings.push(line);
            continue;
        };
        let function = lines
            .next()
            .context("an import is of a function")?
            .trim_end();
        imports.push(format!("{line}\n{function}"));
        stubs.push(format!(
            "{function} {{ panic(\"{import}: not built as a guest\") }}"
        ));
    }
    let join = |parts: Vec<String>| parts.join("\n\n") + "\n";
    Ok([bindings.join("\n") + "\n", join(imports), join(stubs)])
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
