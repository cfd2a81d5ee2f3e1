//! Components and core modules as sequences of sections.

use crate::module;
use anyhow::{Context, Result, bail};

/// A magic number, and a version with a layer.
const HEADER: usize = 8;
const COMPONENT: &[u8; HEADER] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE: &[u8; HEADER] = b"\0asm\x01\0\0\0";

/// The sections of a component that have others in them.
const CORE_MODULE_SECTION: u8 = 1;
const COMPONENT_SECTION: u8 = 4;

/// A section: what it is, and its bytes.
pub struct Section<'a> {
    pub id: u8,
    pub content: &'a [u8],
}

/// Rewrites a component, or a core module.
pub fn rewrite(binary: &[u8]) -> Result<Vec<u8>> {
    let Some((header, _)) = binary.split_at_checked(HEADER) else {
        bail!("this is no WebAssembly");
    };
    if header == CORE_MODULE {
        return module::rewrite(binary);
    }
    if header != COMPONENT {
        bail!("this is neither a component nor a core module");
    }
    let mut output = header.to_vec();
    for section in sections(binary)? {
        match section.id {
            CORE_MODULE_SECTION | COMPONENT_SECTION => {
                push_section(&mut output, section.id, &rewrite(section.content)?);
            }
            id => push_section(&mut output, id, section.content),
        }
    }
    Ok(output)
}

/// The sections behind the header.
pub fn sections(binary: &[u8]) -> Result<Vec<Section<'_>>> {
    let mut rest = binary.get(HEADER..).context("no header")?;
    let mut sections = Vec::new();
    while let Some((&id, behind)) = rest.split_first() {
        let (length, behind) = read_u32(behind)?;
        let (content, behind) = behind
            .split_at_checked(length as usize)
            .context("a section is longer than the file")?;
        sections.push(Section { id, content });
        rest = behind;
    }
    Ok(sections)
}

pub fn push_section(output: &mut Vec<u8>, id: u8, content: &[u8]) {
    output.push(id);
    push_u32(output, content.len() as u32);
    output.extend_from_slice(content);
}

/// Reads a number of one to five bytes with seven bits each, the lowest first.
pub fn read_u32(bytes: &[u8]) -> Result<(u32, &[u8])> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).context("a number is too large")?;
            return Ok((value, &bytes[place + 1..]));
        }
    }
    bail!("a number does not end");
}

pub fn push_u32(output: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        output.push(value as u8 | 0x80);
        value >>= 7;
    }
    output.push(value as u8);
}
