//! One core module.

use crate::component::{push_section, push_u32, read_u32, sections};
use crate::functions::{self, Handover};
use anyhow::{Context, Result};
use std::collections::HashMap;
use wasm_encoder::{Encode, ValType};
use wasmparser::{
    BinaryReader, CodeSectionReader, ExternalKind, FuncType, FunctionBody, Operator, Parser,
    Payload, TypeRef,
};

const CUSTOM: u8 = 0;
const TYPES: u8 = 1;
const FUNCTIONS: u8 = 3;
const CODE: u8 = 10;

/// What is known of a module before it is rewritten.
#[derive(Default)]
struct Facts {
    types: u32,
    /// Imported and own ones.
    functions: u32,
    imported_functions: u32,
    memories: u32,
    /// Whether the first memory has 64-bit addresses.
    is_64: bool,
    handovers: Vec<Handover>,
    malloc: Option<u32>,
    free: Option<u32>,
    uses_bulk: bool,
}

/// The functions to be called instead.
struct Replacements {
    copy: u32,
    fill: u32,
    calls: HashMap<u32, u32>,
}

/// Rewrites a core module, if there is anything to rewrite.
pub fn rewrite(module: &[u8]) -> Result<Vec<u8>> {
    let facts = Facts::of(module)?;
    let handovers = facts.handovers();
    if facts.memories == 0 || facts.is_64 || (!facts.uses_bulk && handovers.is_empty()) {
        return Ok(module.to_vec());
    }
    let replacements = Replacements {
        copy: facts.functions,
        fill: facts.functions + 1,
        calls: (handovers.iter().map(|it| it.import))
            .zip(facts.functions + 2..)
            .collect(),
    };
    // Of the two, and of each of the others.
    let mut types = vec![(vec![ValType::I32; 3], Vec::new())];
    let mut bodies = vec![functions::copy(), functions::fill()];
    for handover in &handovers {
        let (malloc, free) = facts.malloc.zip(facts.free).context("no malloc")?;
        types.push((handover.parameters.clone(), handover.results.clone()));
        bodies.push(handover.function(replacements.copy, malloc, free));
    }
    let used = [0, 0].into_iter().chain(1..types.len() as u32);
    let used: Vec<u32> = used.map(|place| facts.types + place).collect();

    let mut output = module[..8].to_vec();
    for section in sections(module)? {
        let mut content = Vec::new();
        match section.id {
            TYPES => {
                let rest = more(&mut content, section.content, types.len())?;
                content.extend_from_slice(rest);
                for (parameters, results) in &types {
                    content.push(0x60);
                    parameters.encode(&mut content);
                    results.encode(&mut content);
                }
            }
            FUNCTIONS => {
                let rest = more(&mut content, section.content, used.len())?;
                content.extend_from_slice(rest);
                for index in &used {
                    push_u32(&mut content, *index);
                }
            }
            CODE => {
                more(&mut content, section.content, bodies.len())?;
                let reader = BinaryReader::new(section.content, 0);
                for body in CodeSectionReader::new(reader)? {
                    let body = replacements.body(&body?, section.content)?;
                    push_u32(&mut content, body.len() as u32);
                    content.extend_from_slice(&body);
                }
                for body in &bodies {
                    body.encode(&mut content);
                }
            }
            // What tells places in the code would tell wrong ones.
            CUSTOM if is_about_places(section.content)? => continue,
            _ => content.extend_from_slice(section.content),
        }
        push_section(&mut output, section.id, &content);
    }
    Ok(output)
}

/// Writes the number of entries of a section with some more of them, and gives what is behind
/// that number.
fn more<'a>(output: &mut Vec<u8>, content: &'a [u8], added: usize) -> Result<&'a [u8]> {
    let (count, rest) = read_u32(content)?;
    push_u32(output, count + added as u32);
    Ok(rest)
}

fn is_about_places(custom: &[u8]) -> Result<bool> {
    let (length, rest) = read_u32(custom)?;
    let name = rest.get(..length as usize).context("a name is too long")?;
    Ok(name.starts_with(b".debug_") || name.starts_with(b"metadata.code."))
}

impl Facts {
    fn of(module: &[u8]) -> Result<Self> {
        let mut facts = Self::default();
        let mut types: Vec<Option<FuncType>> = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for kind in group?.into_types() {
                            let composite = &kind.composite_type.inner;
                            types.push(match composite {
                                wasmparser::CompositeInnerType::Func(function) => {
                                    Some(function.clone())
                                }
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        match import.ty {
                            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                                let kind = types.get(index as usize).and_then(Option::as_ref);
                                let handover = kind.and_then(|kind| {
                                    Handover::find(
                                        import.module,
                                        import.name,
                                        kind,
                                        facts.functions,
                                    )
                                });
                                facts.handovers.extend(handover);
                                facts.functions += 1;
                            }
                            TypeRef::Memory(memory) => facts.add_memory(memory.memory64),
                            _ => {}
                        }
                    }
                    facts.imported_functions = facts.functions;
                }
                Payload::FunctionSection(section) => facts.functions += section.count(),
                Payload::MemorySection(section) => {
                    for memory in section {
                        facts.add_memory(memory?.memory64);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            match export.name {
                                "malloc" => facts.malloc = Some(export.index),
                                "free" => facts.free = Some(export.index),
                                _ => {}
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader()? {
                        facts.uses_bulk |= is_bulk(&operator?);
                    }
                }
                _ => {}
            }
        }
        facts.types = types.len() as u32;
        Ok(facts)
    }

    fn add_memory(&mut self, is_64: bool) {
        self.is_64 |= self.memories == 0 && is_64;
        self.memories += 1;
    }

    /// The calls that are replaced: those of a library that can allocate.
    fn handovers(&self) -> Vec<Handover> {
        match self.malloc.zip(self.free) {
            Some(_) => self.handovers.clone(),
            None => Vec::new(),
        }
    }
}

/// Other memories than the first are not mapped to.
fn is_bulk(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::MemoryCopy {
            dst_mem: 0,
            src_mem: 0
        } | Operator::MemoryFill { mem: 0 }
    )
}

impl Replacements {
    /// The body of a function with what is replaced in it. `code` is where its offsets count.
    fn body(&self, body: &FunctionBody<'_>, code: &[u8]) -> Result<Vec<u8>> {
        let range = body.range();
        let (first, last) = (range.start as usize, range.end as usize);
        let mut output = Vec::with_capacity(last - first + 64);
        let mut copied = first;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let start = operators.original_position() as usize;
            let call = match operators.read()? {
                Operator::MemoryCopy {
                    dst_mem: 0,
                    src_mem: 0,
                } => self.copy,
                Operator::MemoryFill { mem: 0 } => self.fill,
                Operator::Call { function_index } => match self.calls.get(&function_index) {
                    Some(call) => *call,
                    None => continue,
                },
                _ => continue,
            };
            output.extend_from_slice(&code[copied..start]);
            output.push(0x10);
            push_u32(&mut output, call);
            copied = operators.original_position() as usize;
        }
        output.extend_from_slice(&code[copied..last]);
        Ok(output)
    }
}
