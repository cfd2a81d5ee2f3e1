//! Names: what a guest asks for never leads to an object outside of its grants.

use super::grants::build;
use super::text::NameLike;
use arbitrary::{Result, Unstructured};
use wasmtime_posix_ipc::grant::{Grant, Grants, Kind, Name, PrivateNamespace};

pub fn check(input: &[u8]) {
    let _ = granted(&mut Unstructured::new(input));
    let _ = private(&mut Unstructured::new(input));
}

/// Whether the system and this project agree that this is one name of one object.
fn valid(kind: Kind, name: &str) -> bool {
    let Some(stem) = name.strip_prefix('/') else {
        return false;
    };
    let longest = if kind == Kind::Semaphore { 251 } else { 255 };
    let reserved = kind == Kind::SharedMemory && stem.starts_with("sem.");
    (1..=longest).contains(&stem.len())
        && !stem.contains(['/', '\0'])
        && stem != "."
        && stem != ".."
        && !reserved
}

fn granted(u: &mut Unstructured<'_>) -> Result<()> {
    let mut grants = Grants::new();
    for _ in 0..u.int_in_range(0..=5)? {
        let kind = *u.choose(Kind::ALL)?;
        let pattern = asked(&grants, u)?;
        if let Ok(grant) = build(kind, &pattern, u)? {
            // A name that has a grant gets no second one.
            let _ = grants.add(grant);
        }
    }
    for _ in 0..4 {
        let kind = *u.choose(Kind::ALL)?;
        let name = asked(&grants, u)?;
        let checked = Name::new(kind, &name);
        assert_eq!(checked.is_ok(), valid(kind, &name), "{name:?}");
        let Ok(checked) = checked else { continue };
        assert_eq!(checked.as_c_str().to_bytes(), name.as_bytes());
        let found = grants.find(&checked).expect("no prefix takes room");
        let found = found.map(|found| (found.grant, found.host_name.to_string()));
        assert_eq!(found, expected(&grants, kind, &name), "{name:?}");
        if let Some((_, host_name)) = found {
            assert!(valid(kind, &host_name), "{host_name:?}");
        }
    }
    Ok(())
}

/// A name of the guest's own, or one near to what is granted.
fn asked(grants: &Grants, u: &mut Unstructured<'_>) -> Result<String> {
    let NameLike(name) = u.arbitrary()?;
    if grants.is_empty() || u.ratio(1, 3)? {
        return Ok(name);
    }
    let near = grants.iter().nth(u.choose_index(grants.len())?);
    let near = near.map(|grant| match u.arbitrary() {
        Ok(true) => grant.pattern().to_string(),
        _ => grant
            .guest_name()
            .map_or_else(|| grant.pattern().to_string(), |name| name.to_string()),
    });
    let near = near.unwrap_or_default();
    Ok(match u.int_in_range(0..=3)? {
        0 => near,
        1 => near.replace('*', ""),
        2 => near.replace('*', name.trim_start_matches('/')),
        _ => format!("{near}{name}"),
    })
}

/// The grant that counts for a name and the host's name, by the rules as they are
/// written in the manual.
fn expected<'a>(grants: &'a Grants, kind: Kind, name: &str) -> Option<(&'a Grant, String)> {
    let of_kind = || grants.iter().filter(|grant| grant.kind() == kind);
    let exact = of_kind().find(|grant| match (grant.guest_name(), grant.pattern()) {
        (Some(own), _) => own.as_str() == name,
        (None, own) if !own.is_prefix() => own.to_string() == name,
        _ => false,
    });
    if let Some(grant) = exact {
        return Some((grant, grant.pattern().to_string()));
    }
    of_kind()
        .filter_map(|grant| {
            let pattern = grant.pattern().to_string();
            let prefix = pattern.strip_suffix('*')?;
            (name.len() > prefix.len() && name.starts_with(prefix))
                .then(|| (prefix.len(), (grant, name.to_owned())))
        })
        .max_by_key(|(length, _)| *length)
        .map(|(_, found)| found)
}

/// In a namespace of its own a guest reaches only that, by names that lead back.
fn private(u: &mut Unstructured<'_>) -> Result<()> {
    let NameLike(prefix) = u.arbitrary()?;
    let prefix = prefix.trim_start_matches('/').to_owned() + *u.choose(&[".", "-", "_", ""])?;
    let Ok(namespace) = PrivateNamespace::new(&prefix) else {
        return Ok(());
    };
    let grants = Grants::private(namespace.clone());
    for _ in 0..4 {
        let kind = *u.choose(Kind::ALL)?;
        let NameLike(name) = u.arbitrary()?;
        let Ok(checked) = Name::new(kind, &name) else {
            assert!(!valid(kind, &name), "{name:?}");
            continue;
        };
        let Ok(host_name) = namespace.host_name(&checked) else {
            let too_long = prefix.len() + name.len() - 1 > kind.longest_name();
            assert!(too_long, "{name:?}");
            assert!(grants.find(&checked).is_err(), "{name:?}");
            continue;
        };
        assert!(
            valid(kind, &name) && valid(kind, host_name.as_str()),
            "{name:?}"
        );
        let stem = host_name.as_str().strip_prefix(namespace.prefix());
        assert_eq!(stem.map(|stem| format!("/{stem}")), Some(name.clone()));
        let found = grants.find(&checked).ok().flatten();
        assert_eq!(found.map(|found| found.host_name), Some(host_name));
    }
    Ok(())
}
