//! What an archive of WebAssembly objects defines.

use std::collections::BTreeSet;
use std::path::Path;
use wasmparser::{KnownCustom, Linking, Parser, Payload, SymbolFlags, SymbolInfo};

/// The length of the head of a member, and where in it the member's length is.
const HEAD: usize = 60;
const LENGTH: std::ops::Range<usize> = 48..58;

/// The names that the objects define for others to use.
pub fn defined(archive: &Path) -> BTreeSet<String> {
    let archive = std::fs::read(archive).unwrap();
    let mut rest = archive.strip_prefix(b"!<arch>\n").expect("an archive");
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (head, members) = rest.split_at(HEAD);
        let length = std::str::from_utf8(&head[LENGTH]).unwrap();
        let (member, others) = members.split_at(length.trim().parse().unwrap());
        // The others are the archive's own tables.
        if member.starts_with(b"\0asm") {
            names.extend(defined_by_object(member));
        }
        // A member begins at an even place.
        rest = &others[(member.len() % 2).min(others.len())..];
    }
    names
}

fn defined_by_object(object: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(object) {
        let Payload::CustomSection(section) = payload.unwrap() else {
            continue;
        };
        let KnownCustom::Linking(linking) = section.as_known() else {
            continue;
        };
        for part in linking.subsections() {
            if let Linking::SymbolTable(symbols) = part.unwrap() {
                names.extend(symbols.into_iter().filter_map(|symbol| {
                    let (flags, name) = flags_and_name(&symbol.unwrap())?;
                    let own = SymbolFlags::UNDEFINED | SymbolFlags::BINDING_LOCAL;
                    (!flags.intersects(own)).then_some(name)
                }));
            }
        }
    }
    names
}

fn flags_and_name(symbol: &SymbolInfo<'_>) -> Option<(SymbolFlags, String)> {
    match *symbol {
        SymbolInfo::Func { flags, name, .. } | SymbolInfo::Global { flags, name, .. } => {
            Some((flags, name?.to_owned()))
        }
        SymbolInfo::Data { flags, name, .. } => Some((flags, name.to_owned())),
        _ => None,
    }
}
