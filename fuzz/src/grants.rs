//! Grants as text: whatever can be read is shown as a text that reads back as the same
//! grant, and what a denial suggests would allow what was denied.

use super::text::{NameLike, Text};
use arbitrary::{Arbitrary, Result, Unstructured};
use wasmtime_posix_ipc::grant::{
    Access, Bytes, Grant, GrantError, Grants, Kind, Lifecycle, Name, Right,
};
use wasmtime_posix_ipc::internals::denial;

pub fn check(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        read(text);
    }
    // Bytes that are too few for it say nothing.
    let _ = composed(&mut Unstructured::new(input));
}

fn composed(u: &mut Unstructured<'_>) -> Result<()> {
    let Text(text) = u.arbitrary()?;
    read(&text);
    let kind = *u.choose(Kind::ALL)?;
    let NameLike(pattern) = u.arbitrary()?;
    if let Ok(grant) = build(kind, &pattern, u)? {
        shown(&grant);
        denied(&grant, u)?;
    }
    Ok(())
}

fn read(text: &str) {
    if let Ok(grant) = text.parse::<Grant>() {
        assert_eq!(grant.to_string().parse().as_ref(), Ok(&grant), "{text:?}");
    }
    for &kind in Kind::ALL {
        if let Ok(grant) = Grant::parse(kind, text) {
            assert_eq!(grant.kind(), kind);
            assert_eq!(grant.to_string().parse().as_ref(), Ok(&grant), "{text:?}");
            assert_eq!(format!("{kind}:{text}").parse().as_ref(), Ok(&grant));
        }
    }
    if let Ok(Bytes(bytes)) = text.parse() {
        assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
    }
}

/// A grant by the builder, which takes names that are no text too.
pub fn build(
    kind: Kind,
    pattern: &str,
    u: &mut Unstructured<'_>,
) -> Result<std::result::Result<Grant, GrantError>> {
    let mut grant = Grant::builder(kind, pattern);
    for _ in 0..u.int_in_range(0..=5)? {
        grant = match u.int_in_range(0..=9)? {
            0 => grant.guest_name(NameLike::arbitrary(u)?.0),
            1 => grant.access(*u.choose(Access::ALL)?),
            2 => grant.lifecycle(*u.choose(Lifecycle::ALL)?),
            3 => grant.max_objects(u.arbitrary::<u64>()?),
            4 => grant.max_size(u.arbitrary::<u64>()?),
            5 => grant.max_messages(u.arbitrary::<u32>()?),
            6 => grant.max_message_size(u.arbitrary::<u32>()?),
            7 => grant.undo(true),
            8 => grant.map(true),
            _ => grant.keep(true),
        };
    }
    Ok(grant.build())
}

/// A grant is shown as a text that means the same, or as one that means nothing.
fn shown(grant: &Grant) {
    let text = grant.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    match text.parse::<Grant>() {
        Ok(read) => assert_eq!(&read, grant, "{text:?}"),
        Err(_) => assert!(text.contains('"'), "{text:?}"),
    }
}

fn denied(grant: &Grant, u: &mut Unstructured<'_>) -> Result<()> {
    let NameLike(name) = u.arbitrary()?;
    let own = grant.guest_name().map_or_else(
        || grant.pattern().to_string().replace('*', "z"),
        |name| name.to_string(),
    );
    let name = if u.arbitrary()? { own } else { name };
    let wanted: u16 = u.arbitrary()?;
    let rights: Vec<Right> = (0..Right::ALL.len())
        .filter(|bit| wanted & 1 << bit != 0)
        .map(|bit| Right::ALL[bit])
        .collect();
    let created = u.arbitrary()?;
    let Ok(name) = Name::new(grant.kind(), &name) else {
        return Ok(());
    };

    let mut grants = Grants::new();
    grants.add(grant.clone()).expect("it is the first");
    let allows = |grant: &Grant| rights.iter().all(|right| grant.allows(*right, created));
    let granted = |grants: &Grants| {
        let found = grants.find(&name);
        found.is_ok_and(|found| found.is_some_and(|found| allows(found.grant)))
    };
    let denial = denial(&grants, &name, &rights, created);
    let line = denial.to_string();
    assert!(!line.contains(char::is_control), "{line:?}");
    if granted(&grants) {
        return Ok(());
    }
    if let Some(suggestion) = denial.suggestion() {
        assert!(allows(suggestion), "{line}");
        // In the place of the grant, or beside it, it does what the line says.
        let mut followed = match line.contains("; use ") {
            true => Grants::new(),
            false => grants,
        };
        followed
            .add(suggestion.clone())
            .expect("nothing else is for it");
        assert!(granted(&followed), "{line}");
    }
    Ok(())
}
