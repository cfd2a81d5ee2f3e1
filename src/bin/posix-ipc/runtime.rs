//! Scripts, and the runtime components that run them.
//!
//! A runtime is a command component. Its first argument is the path of the script, as
//! the guest sees it; it has the folder of the script as its working directory, and can
//! read it.

use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};

/// Where to look for runtimes, before anywhere else.
const FOLDER_VARIABLE: &str = "POSIX_IPC_RUNTIMES";

/// Folders to look in, as seen from that of this program: the build's, and that of an
/// installation beside `bin`.
const FOLDERS: [&str; 2] = ["../runtimes", "../share/posix-ipc/runtimes"];

/// A language whose scripts can be run.
struct Language {
    name: &'static str,
    extensions: &'static [&'static str],
    runtime: &'static str,
}

const LANGUAGES: [Language; 2] = [
    Language {
        name: "Python",
        extensions: &["py"],
        runtime: "python.wasm",
    },
    Language {
        name: "JavaScript",
        extensions: &["js", "mjs"],
        runtime: "js.wasm",
    },
];

/// What is to be run: a component, and the script that it runs if it is a runtime.
pub struct Program {
    component: PathBuf,
    script: Option<Script>,
}

/// A script. Its path is the same for the guest as on the machine, so that what is said
/// of its lines can be followed.
pub struct Script {
    language: &'static str,
    path: String,
    folder: String,
}

impl Program {
    /// Looks at what was named: a script, by its extension, or else a component.
    pub fn find(guest: &Path) -> Result<Self> {
        let extension = guest.extension().and_then(|extension| extension.to_str());
        let known = |language: &&Language| {
            extension.is_some_and(|extension| language.extensions.contains(&extension))
        };
        let Some(language) = LANGUAGES.iter().find(known) else {
            return Ok(Self {
                component: guest.to_owned(),
                script: None,
            });
        };
        let script = Script::find(guest, language.name)?;
        Ok(Self {
            component: language.find_runtime(guest)?,
            script: Some(script),
        })
    }

    /// The component to load.
    pub fn component(&self) -> &Path {
        &self.component
    }

    /// The script that it is to run.
    pub fn script(&self) -> Option<&Script> {
        self.script.as_ref()
    }
}

impl Script {
    fn find(guest: &Path, language: &'static str) -> Result<Self> {
        let shown = guest.display();
        let path = guest
            .canonicalize()
            .with_context(|| format!("cannot read the guest {shown}"))?;
        if !path.is_file() {
            bail!("cannot read the guest {shown}: it is not a file");
        }
        let folder = folder_of(&path)?;
        let text = |path: &Path| match path.to_str() {
            Some(text) => Ok(text.to_owned()),
            None => bail!("the path of a script must be UTF-8: {}", path.display()),
        };
        Ok(Self {
            language,
            path: text(&path)?,
            folder: text(folder)?,
        })
    }

    /// Its language, such as `Python`.
    pub fn language(&self) -> &'static str {
        self.language
    }

    /// The script's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the script finds a folder of the machine: at `guest`, seen from where it
    /// starts, or where that is the folder's own path, at its absolute one.
    pub fn sees(&self, host: &str, guest: String) -> Result<String> {
        let path = if guest == host {
            Path::new(host)
                .canonicalize()
                .with_context(|| format!("--dir {host}: cannot open the folder"))?
        } else {
            Path::new(&self.folder).join(&guest)
        };
        Ok(path.to_str().map_or(guest, str::to_owned))
    }

    /// Whether the script may read its folder unasked. Not where that gives it much more
    /// than whoever put it there has in mind: the keys and passwords of a home.
    pub fn may_read_folder(&self) -> Result<()> {
        // The variable may say anything; what the system knows of the user is a home too.
        let user = nix::unistd::User::from_uid(nix::unistd::getuid());
        let homes = [
            std::env::home_dir(),
            user.ok().flatten().map(|user| user.dir),
        ];
        let homes = homes.into_iter().flatten();
        let mut homes = homes.filter_map(|home| home.canonicalize().ok());
        if homes.any(|home| home != Path::new("/") && home.starts_with(&self.folder)) {
            bail!(
                "a script can read its folder, and that of {} has your home folder in it or is it; \
                 put it into a folder of its own, or allow the folder by --dir {}",
                self.path,
                self.folder,
            );
        }
        Ok(())
    }

    /// The folder that the script is in.
    pub fn folder(&self) -> &str {
        &self.folder
    }
}

/// The folder of a script, which the script can read.
fn folder_of(script: &Path) -> Result<&Path> {
    let root = Path::new("/");
    match script.parent() {
        Some(folder) if folder != root => Ok(folder),
        _ => bail!(
            "a script can read its folder, and that of {} is the whole machine; \
             put it into a folder of its own",
            script.display()
        ),
    }
}

/// The endings of components; those of scripts are in [`LANGUAGES`].
const COMPONENTS: [&str; 2] = ["wasm", "wat"];

fn known_endings() -> Vec<&'static str> {
    let scripts = LANGUAGES.iter().flat_map(|language| language.extensions);
    COMPONENTS.iter().chain(scripts).copied().collect()
}

/// What the names of guests end in, as a list in a sentence.
pub fn endings() -> String {
    let known = known_endings();
    let (last, others) = known.split_last().expect("there are some");
    format!(".{} or .{last}", others.join(", ."))
}

/// Whether a file has such a name.
pub fn has_known_ending(guest: &Path) -> bool {
    let extension = guest.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| known_endings().contains(&extension))
}

/// The runtimes of all languages: where each is, or where it has been looked for.
pub fn runtimes() -> impl Iterator<Item = (&'static str, Result<PathBuf>)> {
    LANGUAGES
        .iter()
        .map(|language| (language.name, language.runtime()))
}

impl Language {
    fn find_runtime(&self, guest: &Path) -> Result<PathBuf> {
        self.runtime().map_err(|missing| {
            anyhow!(
                "{} needs the {} runtime, and {missing:#}; build it with `make runtimes`, \
                 or set {FOLDER_VARIABLE} to the folder that has {}",
                guest.display(),
                self.name,
                self.runtime,
            )
        })
    }

    fn runtime(&self) -> Result<PathBuf> {
        let folders = match std::env::var_os(FOLDER_VARIABLE) {
            Some(folder) => vec![PathBuf::from(folder)],
            None => usual_folders()?,
        };
        let places: Vec<PathBuf> = folders
            .iter()
            .map(|folder| folder.join(self.runtime))
            .collect();
        if let Some(found) = places.iter().find(|place| place.is_file()) {
            return Ok(found.clone());
        }
        let places: Vec<String> = places
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        bail!("there is none at {}", places.join(" or "))
    }
}

fn usual_folders() -> Result<Vec<PathBuf>> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let own = program.parent().unwrap_or(Path::new("/"));
    let outer = own.parent().unwrap_or(own);
    let folders = FOLDERS.map(|folder| outer.join(folder.trim_start_matches("../")));
    Ok(folders.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_beside_the_root_of_the_machine_is_refused() {
        let refused = folder_of(Path::new("/worker.py")).unwrap_err();
        assert!(
            refused.to_string().contains("folder of its own"),
            "{refused}"
        );
        let folder = folder_of(Path::new("/app/worker.py")).unwrap();
        assert_eq!(folder, Path::new("/app"));
    }
}
