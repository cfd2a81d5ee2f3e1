//! What `import` finds: the modules of this runtime by their names, and files by paths.

use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::Declared;
use rquickjs::{Ctx, Error, Exception, Module, Result};

use crate::host::Host;

/// The native functions, for the modules of this runtime only.
const HOST: &str = "internal:host";

/// What the runtime itself asks for.
pub(crate) const GLOBALS: &str = "internal:globals";

/// The modules of this runtime.
const BUILTIN: [(&str, &str); 8] = [
    (GLOBALS, include_str!("../lib/globals.js")),
    ("internal:arguments", include_str!("../lib/arguments.js")),
    ("internal:errors", include_str!("../lib/errors.js")),
    ("internal:events", include_str!("../lib/events.js")),
    ("internal:inspect", include_str!("../lib/inspect.js")),
    ("internal:loop", include_str!("../lib/loop.js")),
    ("posix-ipc", include_str!("../lib/posix-ipc.js")),
    ("node:fs", include_str!("../lib/fs.js")),
];

/// Another name of a module.
const ALIASES: [(&str, &str); 1] = [("fs", "node:fs")];

pub(crate) struct Modules;

impl Resolver for Modules {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name, |(_, name)| name);
        let builtin = name == HOST || source(name).is_some();
        if builtin && (!is_internal(name) || source(base).is_some() || base.is_empty()) {
            return Ok(name.to_owned());
        }
        let path = name.strip_prefix("file://").unwrap_or(name);
        if path.starts_with('/') {
            return Ok(joined("", path));
        }
        if path.starts_with("./") || path.starts_with("../") {
            let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
            return Ok(joined(folder, path));
        }
        let message = format!(
            "cannot find the module \"{name}\" that {base} imports: there are \"posix-ipc\", \
             \"node:fs\" and files, whose paths begin with ./, ../ or /"
        );
        Err(Exception::throw_reference(ctx, &message))
    }
}

impl Loader for Modules {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js, Declared>> {
        if name == HOST {
            return Module::declare_def::<Host, _>(ctx.clone(), name);
        }
        if let Some(source) = source(name) {
            return Module::declare(ctx.clone(), name, source);
        }
        if [".ts", ".mts", ".cts"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            let message = format!(
                "{name} is TypeScript, which is not run as it is: make JavaScript of it first, \
                 as by `tsc` or `esbuild`"
            );
            return Err(Exception::throw_syntax(ctx, &message));
        }
        let source = std::fs::read(name).map_err(|error| {
            Exception::throw_reference(ctx, &format!("cannot read the module {name}: {error}"))
        })?;
        let text = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source);
        if let Err(error) = std::str::from_utf8(text) {
            let valid = &text[..error.valid_up_to()];
            let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
            let message = format!("{name}:{line}: not UTF-8");
            return Err(Exception::throw_syntax(ctx, &message));
        }
        let module = Module::declare(ctx.clone(), name, text)?;
        let meta = module.meta()?;
        let (folder, _) = name.rsplit_once('/').ok_or(Error::Unknown)?;
        meta.set("url", format!("file://{name}"))?;
        meta.set("filename", name)?;
        meta.set("dirname", folder)?;
        Ok(module)
    }
}

fn is_internal(name: &str) -> bool {
    name.starts_with("internal:")
}

fn source(name: &str) -> Option<&'static str> {
    let found = BUILTIN.iter().find(|(builtin, _)| *builtin == name);
    found.map(|(_, source)| *source)
}

/// A path from a folder, without `.` and `..`: one module has one name.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
