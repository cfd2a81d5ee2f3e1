//! How much memory the instances of a component take besides memories and tables.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, ElementItems, Encoding, Instance, Parser, Payload,
};
use wasmtime::{Result, bail};

/// The most core instances of a guest, over all its components.
pub(crate) const MOST_INSTANCES: usize = 256;

/// The most items of all core instances of a guest together.
const MOST_ITEMS: u64 = 1 << 20;

/// Refuses a component whose instances would take more of the host's memory than a guest
/// should have. To be called with the binary of a component before it is compiled.
///
/// wasmtime keeps up to 64 bytes for each global, import, export, segment and function
/// reference of a core module, again for each instance of it, and tells no limiter. So a
/// component may have as many of them, over all its instances, as fit into 64 MiB: a
/// million. CPython with its modules has some ten thousand. Beyond that, a component that
/// has more than 256 core instances is refused here already, where
/// [`limit_store`](crate::limit_store) would let it be compiled first.
///
/// # Errors
///
/// If the component has more, or the bytes are no binary of a component.
///
/// # Examples
///
/// ```
/// let binary = wat::parse_str("(component (core module (global i32 i32.const 0)))")?;
/// wasmtime_posix_ipc::check_component(&binary)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_component(binary: &[u8]) -> Result<()> {
    let size = Size::of(binary)?;
    if size.instances > MOST_INSTANCES as u64 {
        bail!(
            "it has {} core instances, of which a guest may have {MOST_INSTANCES}",
            size.instances
        );
    }
    if size.items > MOST_ITEMS {
        bail!(
            "its core instances have {} globals, imports, exports and references to functions \
             together, of which a guest may have {MOST_ITEMS}",
            size.items
        );
    }
    Ok(())
}

/// What comes of one instantiation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    instances: u64,
    items: u64,
}

/// A module or component that is being read.
#[derive(Default)]
struct Open {
    is_component: bool,
    size: Size,
    /// The index spaces of a component. None is what is only known when the component is
    /// instantiated.
    modules: Vec<Option<Size>>,
    components: Vec<Option<Size>>,
    /// Whether it instantiates something of which the size is not known.
    instantiates_unknown: bool,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.instances = self.instances.saturating_add(other.instances);
        self.items = self.items.saturating_add(other.items);
    }

    /// The size of a component.
    fn of(binary: &[u8]) -> Result<Self> {
        let mut open: Vec<Open> = Vec::new();
        // The largest module there is, and whether there are instances of who knows what.
        let mut largest = 0;
        let mut unknown = false;
        for payload in Parser::new(0).parse_all(binary) {
            let payload = payload?;
            match payload {
                Payload::Version { encoding, .. } => {
                    let is_component = encoding == Encoding::Component;
                    if open.is_empty() && !is_component {
                        bail!("it is a core module");
                    }
                    open.push(Open {
                        is_component,
                        ..Open::default()
                    });
                }
                Payload::End(_) => {
                    let Some(done) = open.pop() else { continue };
                    unknown |= done.instantiates_unknown;
                    let Some(outer) = open.last_mut() else {
                        let mut size = done.size;
                        if unknown {
                            // Not more than this, since there are no more instances.
                            let most = largest * MOST_INSTANCES as u64;
                            size.items = size.items.max(most);
                        }
                        return Ok(size);
                    };
                    if done.is_component {
                        outer.components.push(Some(done.size));
                    } else {
                        largest = largest.max(done.size.items);
                        outer.modules.push(Some(Self {
                            instances: 1,
                            items: done.size.items,
                        }));
                    }
                }
                payload => {
                    let outer = |count: u32, index: u32, kind| {
                        let at = open.len().checked_sub(1 + count as usize)?;
                        let spaces = open.get(at)?;
                        let space = match kind {
                            ComponentOuterAliasKind::CoreModule => &spaces.modules,
                            _ => &spaces.components,
                        };
                        *space.get(index as usize)?
                    };
                    let outers = outer_aliases(&payload, outer)?;
                    if let Some(open) = open.last_mut() {
                        open.read(payload, outers)?;
                    }
                }
            }
        }
        bail!("it has no end")
    }
}

/// The sizes of what a section takes from the components around.
fn outer_aliases(
    payload: &Payload<'_>,
    size: impl Fn(u32, u32, ComponentOuterAliasKind) -> Option<Size>,
) -> Result<Vec<Option<Size>>> {
    let mut sizes = Vec::new();
    if let Payload::ComponentAliasSection(section) = payload {
        for alias in section.clone() {
            if let ComponentAlias::Outer { kind, count, index } = alias? {
                sizes.push(size(count, index, kind));
            }
        }
    }
    Ok(sizes)
}

impl Open {
    fn read(&mut self, payload: Payload<'_>, outers: Vec<Option<Size>>) -> Result<()> {
        let items: u64 = match payload {
            Payload::ImportSection(section) => section.count().into(),
            Payload::TableSection(section) => section.count().into(),
            Payload::MemorySection(section) => section.count().into(),
            Payload::TagSection(section) => section.count().into(),
            Payload::GlobalSection(section) => section.count().into(),
            Payload::ExportSection(section) => section.count().into(),
            Payload::DataSection(section) => section.count().into(),
            Payload::ElementSection(section) => {
                let mut items = 0;
                for segment in section {
                    items += 1 + u64::from(match segment?.items {
                        ElementItems::Functions(functions) => functions.count(),
                        ElementItems::Expressions(_, values) => values.count(),
                    });
                }
                items
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        let size = self.modules.get(module_index as usize).copied();
                        self.instantiate(size.flatten(), 1);
                    }
                }
                0
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate {
                        component_index, ..
                    } = instance?
                    {
                        let size = self.components.get(component_index as usize).copied();
                        self.instantiate(size.flatten(), 0);
                    }
                }
                0
            }
            Payload::ComponentAliasSection(section) => {
                let mut outers = outers.into_iter();
                for alias in section {
                    match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => self.define(kind, None),
                        ComponentAlias::CoreInstanceExport { .. } => {}
                        ComponentAlias::Outer { kind, .. } => {
                            let size = outers.next().flatten();
                            match kind {
                                ComponentOuterAliasKind::CoreModule => self.modules.push(size),
                                ComponentOuterAliasKind::Component => self.components.push(size),
                                ComponentOuterAliasKind::CoreType
                                | ComponentOuterAliasKind::Type => {}
                            }
                        }
                    }
                }
                0
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.modules.push(None),
                        ComponentTypeRef::Component(_) => self.components.push(None),
                        _ => {}
                    }
                }
                0
            }
            // What is exported has another index by that.
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    let space = match export.kind {
                        ComponentExternalKind::Module => &self.modules,
                        _ => &self.components,
                    };
                    let size = space.get(export.index as usize).copied().flatten();
                    self.define(export.kind, size);
                }
                0
            }
            _ => 0,
        };
        self.size.items = self.size.items.saturating_add(items);
        Ok(())
    }

    fn define(&mut self, kind: ComponentExternalKind, size: Option<Size>) {
        match kind {
            ComponentExternalKind::Module => self.modules.push(size),
            ComponentExternalKind::Component => self.components.push(size),
            _ => {}
        }
    }

    /// Something of unknown size has at least so many instances.
    fn instantiate(&mut self, size: Option<Size>, instances: u64) {
        self.instantiates_unknown |= size.is_none();
        self.size.add(size.unwrap_or(Size {
            instances,
            items: 0,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn size(text: &str) -> (u64, u64) {
        let size = Size::of(&wat::parse_str(text).unwrap()).unwrap();
        (size.instances, size.items)
    }

    #[test]
    fn every_instance_counts() {
        let module = "(core module $m (global i32 i32.const 0) (memory 1) (table 3 funcref)
                        (func $f) (elem (i32.const 0) $f $f $f) (export \"f\" (func $f)))";
        assert_eq!(size(&format!("(component {module})")), (0, 0));
        let twice = "(core instance (instantiate $m)) (core instance (instantiate $m))";
        assert_eq!(size(&format!("(component {module} {twice})")), (2, 16));
        let nested = format!(
            "(component (component $c {module} {twice}) (instance (instantiate $c))
                (component $d (alias outer 1 $c (component $e))
                    (instance (instantiate $e)) (instance (instantiate $e)))
                (instance (instantiate $d)))"
        );
        assert_eq!(size(&nested), (6, 48));
    }

    /// What is passed to a component is taken for the largest module, in as many
    /// instances as there can be.
    #[test]
    fn instances_of_the_unknown_count_as_the_largest() {
        let text = "(component
            (core module $large (global i32 i32.const 0) (global i32 i32.const 0))
            (component $c (import \"m\" (core module $m)) (core instance (instantiate $m)))
            (instance (instantiate $c (with \"m\" (core module $large)))))";
        assert_eq!(size(text), (1, 2 * MOST_INSTANCES as u64));
    }

    /// Ten components that each instantiate the one before ten times.
    #[test]
    fn what_grows_without_bounds_is_refused_before_it_is_compiled() {
        let mut text =
            String::from("(component $c0 (core module $m) (core instance (instantiate $m)))");
        for level in 1..10 {
            let instance = format!("(instance (instantiate $c{}))", level - 1).repeat(10);
            let alias = format!("(alias outer 1 $c{0} (component $c{0}))", level - 1);
            text += &format!("(component $c{level} {alias} {instance})");
        }
        text = format!("(component {text} (instance (instantiate $c9)))");
        let error = check_component(&wat::parse_str(&text).unwrap()).unwrap_err();
        assert!(
            error.to_string().contains("1000000000 core instances"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_component_is_an_error() {
        for bytes in [
            &b""[..],
            b"\0asm\x01\0\0\0",
            b"(component)",
            b"\0asm\x0d\0\x01\0\x07",
        ] {
            assert!(check_component(bytes).is_err(), "{bytes:?}");
        }
    }
}
