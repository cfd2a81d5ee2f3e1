//! The flags that say what a guest may do, and what they make.

use crate::manifest::{Manifest, parse_duration};
use crate::runtime::Script;
use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, ArgMatches, Command, FromArgMatches};
use std::path::PathBuf;
use std::time::Duration;
use wasmtime_posix_ipc::audit::AuditEvent;
use wasmtime_posix_ipc::grant::{Bytes, Grant, GrantError, Grants, Kind};
use wasmtime_posix_ipc::quota::{Quota, Resource};
use wasmtime_posix_ipc::{IpcCtx, IpcHost};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

/// Which names the guest may use: none by default.
#[derive(clap::Args)]
#[command(next_help_heading = "Grants")]
pub struct GrantOptions {
    /// Allow a semaphore: NAME[::GUEST][,use|wait|post][,open|create|own][,OPTION...]
    ///
    /// NAME is one name (/gate), or all names with one prefix (/app.*). GUEST is the
    /// name by which the guest knows the object. "use" (default) is "wait" and "post".
    /// "open" (default): the object must exist. "create": the guest may also create
    /// objects, and unlink those. "own": it may also unlink those of others.
    /// OPTIONs: undo (give back what the guest holds when it ends), map (reach it at
    /// native speed), max=N (objects created under this grant), keep (they stay).
    #[arg(long = "sem", value_name = "GRANT", value_parser = semaphore)]
    semaphores: Vec<Grant>,

    /// Allow shared memory: NAME[::GUEST][,rw|ro][,open|create|own][,OPTION...]
    ///
    /// As with --sem, but "rw" (default) is reading and writing, "ro" reading only. "create"
    /// and "own" are for resizing too. OPTIONs: map, max=N, max-size=SIZE, keep.
    #[arg(long = "shm", value_name = "GRANT", value_parser = shared_memory)]
    segments: Vec<Grant>,

    /// Allow a message queue: NAME[::GUEST][,both|recv|send][,open|create|own][,OPTION...]
    ///
    /// As with --sem, but "both" (default) is "recv" and "send". OPTIONs: max=N,
    /// max-msgs=N, max-msg-size=SIZE, keep.
    #[arg(long = "mq", value_name = "GRANT", value_parser = message_queue)]
    queues: Vec<Grant>,

    /// Give the guest a private namespace instead of grants: every name works there
    #[arg(long, conflicts_with_all = ["semaphores", "segments", "queues"])]
    private: bool,

    /// Let the guest map the objects of its private namespace into its memory
    #[arg(long)]
    map: bool,

    /// Read grants and limits from a TOML file. Flags add to it
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

/// How much the guest may hold. The flags come from the table of limits in the library.
pub struct QuotaOptions {
    limits: Vec<(Resource, u64)>,
    wait: Option<Duration>,
}

const WAIT: &str = "--max-wait";

impl clap::Args for QuotaOptions {
    fn augment_args(mut command: Command) -> Command {
        let arg = |flag: &'static str| Arg::new(flag).long(&flag[2..]).help_heading("Limits");
        let defaults = Quota::default();
        for &resource in Resource::ALL {
            let (what, default) = (capitalized(resource.what()), resource.limit(&defaults));
            let arg = arg(resource.flag());
            command = command.arg(match resource.is_bytes() {
                true => arg
                    .value_name("SIZE")
                    .value_parser(clap::value_parser!(Bytes))
                    .help(format!("{what} [default: {}]", Bytes(default))),
                false => arg
                    .value_name("N")
                    .value_parser(clap::value_parser!(u64))
                    .help(format!("{what} [default: {default}]")),
            });
        }
        command.arg(
            arg(WAIT)
                .value_name("TIME")
                .value_parser(parse_duration)
                .help("The longest single wait [default: no limit]"),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for QuotaOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let limit = |&resource: &Resource| {
            let limit = match resource.is_bytes() {
                true => matches.get_one(resource.flag()).map(|Bytes(bytes)| *bytes),
                false => matches.get_one(resource.flag()).copied(),
            };
            Some((resource, limit?))
        };
        Ok(Self {
            limits: Resource::ALL.iter().filter_map(limit).collect(),
            wait: matches.get_one(WAIT).copied(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl QuotaOptions {
    /// Changes what the flags are about.
    fn apply(&self, quota: &mut Quota) {
        for (resource, limit) in &self.limits {
            resource.set_limit(quota, *limit);
        }
        quota.wait = self.wait.or(quota.wait);
    }
}

fn capitalized(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}

fn semaphore(text: &str) -> Result<Grant, GrantError> {
    Grant::parse(Kind::Semaphore, text)
}

fn shared_memory(text: &str) -> Result<Grant, GrantError> {
    Grant::parse(Kind::SharedMemory, text)
}

fn message_queue(text: &str) -> Result<Grant, GrantError> {
    Grant::parse(Kind::MessageQueue, text)
}

impl GrantOptions {
    /// Reads the manifest, and puts it together with the flags. A guest without any grant
    /// gets a namespace of its own if it is to be learnt what it needs.
    pub fn read(self, limits: &QuotaOptions, learns: bool) -> Result<Policy> {
        let file = match &self.manifest {
            Some(path) => Manifest::read(path)?,
            None => Manifest::default(),
        };
        if self.private && !file.grants.is_empty() {
            bail!(
                "--private gives the guest a namespace of its own instead of grants; take them out of the manifest"
            );
        }
        let flags = [self.semaphores, self.segments, self.queues]
            .into_iter()
            .flatten();
        let mut grants = file.grants;
        for grant in flags {
            grants.add(grant)?;
        }
        let private = self.private || learns && grants.is_empty();
        if self.map && !private {
            bail!(
                "--map is for a namespace of the guest's own; add --private, or \"map\" to a grant"
            );
        }
        let mut quota = file.quota;
        limits.apply(&mut quota);
        Ok(Policy {
            grants,
            private,
            private_maps: self.map,
            quota,
        })
    }
}

/// What is told of each decision.
pub type Audit = Box<dyn Fn(&AuditEvent<'_>) -> wasmtime::Result<()> + Send + Sync>;

/// What a guest may do.
pub struct Policy {
    pub grants: Grants,
    pub private: bool,
    private_maps: bool,
    pub quota: Quota,
}

impl Policy {
    /// Whether the guest may map objects into its memory. Not in every namespace of a
    /// guest's own: the memory of a guest that maps is smaller, and it starts more
    /// slowly and is compiled apart, none of which a guest should get unasked.
    pub fn maps(&self) -> bool {
        self.private_maps || self.grants.iter().any(Grant::map)
    }

    /// The context of a guest that is called `label` in the log. `audit` is told of what is
    /// decided.
    pub fn context(self, label: &str, audit: Option<Audit>, host: &IpcHost) -> Result<IpcCtx> {
        let mut builder = IpcCtx::builder().label(label).quota(self.quota);
        if let Some(audit) = audit {
            builder = builder.audit(audit);
        }
        if self.private {
            builder = builder.private();
        }
        Ok(builder.grants(self.grants).build(host)?)
    }
}

/// What else of the machine the guest gets: nothing by default.
#[derive(clap::Args)]
#[command(next_help_heading = "Other powers")]
pub struct WasiOptions {
    /// Give the guest a folder. It finds the folder at GUEST, or else under the same path;
    /// a script, under its absolute path
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    folders: Vec<String>,

    /// Give the guest an environment variable. Without VALUE it gets that of this process
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    variables: Vec<String>,
}

impl WasiOptions {
    /// The WASI context of a guest: these powers, the arguments, and the standard
    /// streams of this process. A script starts in its folder, which it can read.
    pub fn context(
        &self,
        name: &str,
        script: Option<&Script>,
        arguments: &[String],
    ) -> Result<WasiCtx> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.inherit_stdio();
        wasi.arg(script.map_or(name, Script::path)).args(arguments);
        let mut granted = Vec::new();
        for folder in &self.folders {
            let (host, guest) = match folder.split_once("::") {
                Some((host, guest)) => (host, guest.to_owned()),
                None => (folder.as_str(), folder.clone()),
            };
            let guest = match script {
                Some(script) => script.sees(host, guest)?,
                None => guest,
            };
            wasi.preopened_dir(PathBuf::from(host), &guest, FsPerms::ReadWrite)
                .map_err(|error| anyhow!("{error:#}"))
                .with_context(|| format!("--dir {folder}: cannot open the folder {host}"))?;
            granted.push(guest);
        }
        if let Some(script) = script {
            let folder = script.folder();
            wasi.initial_cwd(folder);
            // A folder that is granted stays writable if it is the script's own.
            if !granted.iter().any(|granted| granted == folder) {
                script.may_read_folder()?;
                wasi.preopened_dir(folder, folder, FsPerms::ReadOnly)
                    .map_err(|error| anyhow!("{error:#}"))
                    .with_context(|| format!("cannot open the folder {folder}"))?;
            }
        }
        for variable in &self.variables {
            let (name, value) = match variable.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => match std::env::var(variable) {
                    Ok(value) => (variable.as_str(), value),
                    Err(_) => bail!(
                        "--env {variable}: no such variable here; write --env {variable}=VALUE"
                    ),
                },
            };
            wasi.env(name, &value);
        }
        Ok(wasi.build())
    }
}
