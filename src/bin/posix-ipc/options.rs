//! The flags that say what a guest may do, and what they make.

use anyhow::{Context, Result, anyhow, bail};
use std::path::PathBuf;
use wasmtime_posix_ipc::grant::{Grant, GrantError, Kind};
use wasmtime_posix_ipc::{IpcCtx, IpcHost};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

/// Which names the guest may use. None by default.
#[derive(clap::Args)]
#[command(next_help_heading = "Grants")]
pub struct GrantOptions {
    /// Allow a semaphore: NAME[::GUEST][,use|wait|post][,open|create|own][,OPTION...]
    #[arg(long = "sem", value_name = "GRANT", value_parser = semaphore)]
    semaphores: Vec<Grant>,

    /// Allow shared memory: NAME[::GUEST][,rw|ro][,open|create|own][,OPTION...]
    #[arg(long = "shm", value_name = "GRANT", value_parser = shared_memory)]
    segments: Vec<Grant>,

    /// Allow a message queue: NAME[::GUEST][,both|recv|send][,open|create|own][,OPTION...]
    #[arg(long = "mq", value_name = "GRANT", value_parser = message_queue)]
    queues: Vec<Grant>,

    /// Give the guest a namespace of its own, where every name works, instead
    #[arg(long, conflicts_with_all = ["semaphores", "segments", "queues"])]
    private: bool,
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
    pub fn is_private(&self) -> bool {
        self.private
    }

    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.semaphores
            .iter()
            .chain(&self.segments)
            .chain(&self.queues)
    }

    /// The context of a guest that is called `label` in the log.
    pub fn context(&self, label: &str, host: &IpcHost) -> Result<IpcCtx> {
        let mut builder = IpcCtx::builder().label(label);
        if self.private {
            builder = builder.private();
        }
        for grant in self.grants() {
            builder = builder.grant(grant.clone())?;
        }
        Ok(builder.build(host)?)
    }
}

/// What else the guest gets of the machine. Nothing by default.
#[derive(clap::Args)]
#[command(next_help_heading = "Other powers")]
pub struct WasiOptions {
    /// Allow a folder, as GUEST if given, else under the same path
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    folders: Vec<String>,

    /// Set an environment variable, or pass on the one of that name
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    variables: Vec<String>,
}

impl WasiOptions {
    /// The WASI context of a guest: these powers, the arguments, and the standard
    /// streams of this process.
    pub fn context(&self, name: &str, arguments: &[String]) -> Result<WasiCtx> {
        let mut wasi = WasiCtxBuilder::new();
        wasi.inherit_stdio().arg(name).args(arguments);
        for folder in &self.folders {
            let (host, guest) = folder.split_once("::").unwrap_or((folder, folder));
            wasi.preopened_dir(PathBuf::from(host), guest, FsPerms::ReadWrite)
                .map_err(|error| anyhow!("{error:#}"))
                .with_context(|| format!("--dir {folder}: cannot open the folder {host}"))?;
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
