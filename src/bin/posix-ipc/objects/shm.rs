//! `posix-ipc shm`: shared memory.

use super::{failed, mode, shared_memory};
use anyhow::{Context, Result, anyhow, bail};
use clap::Subcommand;
use nix::fcntl::OFlag;
use nix::sys::mman::shm_open;
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use wasmtime_posix_ipc::grant::{Bytes, Name};

/// Read and write shared memory of this machine
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  posix-ipc shm cat /frames > frames.bin
  posix-ipc shm cat /frames --offset 64B --length 16B | od -t x4
  printf 'ready' | posix-ipc shm write /frames --offset 64B
  posix-ipc shm write --create /table < table.bin
  posix-ipc shm write --create /frames --size 16MiB < /dev/null

Other programs may read and write the same bytes meanwhile: nothing is locked. The exit
code is 1 if anything failed, as when there is no such object. `posix-ipc ls /frames` shows
its size, and `posix-ipc rm shm:/frames` removes it.")]
pub struct Args {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand)]
enum Operation {
    /// Write the bytes of an object to standard output
    Cat {
        #[arg(value_parser = shared_memory)]
        name: Name,
        /// Leave out so many bytes at the start
        #[arg(long, value_name = "SIZE", default_value = "0")]
        offset: Bytes,
        /// Write no more than so many bytes. Without this, up to the end
        #[arg(long, value_name = "SIZE")]
        length: Option<Bytes>,
    },
    /// Write standard input into an object, which must have room for it
    Write {
        #[arg(value_parser = shared_memory)]
        name: Name,
        /// Where to start in the object
        #[arg(long, value_name = "SIZE", default_value = "0")]
        offset: Bytes,
        /// Create the object, which must not exist, with room for the input
        #[arg(long)]
        create: bool,
        /// The size of the object that is created
        #[arg(long, value_name = "SIZE", requires = "create")]
        size: Option<Bytes>,
        /// Who may use what is created, in octal. The umask applies
        #[arg(long, default_value = "600", value_parser = mode, requires = "create")]
        mode: u32,
    },
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        match self.operation {
            Operation::Cat {
                name,
                offset: Bytes(offset),
                length,
            } => cat(&name, offset, length.map(|Bytes(length)| length))?,
            Operation::Write {
                name,
                offset: Bytes(offset),
                create: true,
                size,
                mode,
            } => create(&name, offset, size.map(|Bytes(size)| size), mode)?,
            Operation::Write {
                name,
                offset: Bytes(offset),
                ..
            } => write(&name, offset)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Nothing of it is mapped, so a peer that shrinks it causes no fault. Without `O_NONBLOCK`
/// one that has leased it, or has put a pipe in its place, would hold this up.
fn open(name: &Name, flags: OFlag, mode: u32) -> Result<(File, u64)> {
    let doing = match flags.contains(OFlag::O_CREAT) {
        true => "created",
        false => "opened",
    };
    let flags = flags | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = shm_open(name.as_c_str(), flags, Mode::from_bits_truncate(mode));
    let file = File::from(opened.map_err(|errno| failed(doing, name, &errno.into()))?);
    let about = file.metadata()?;
    if !about.is_file() {
        bail!(
            "{}:{name} is not shared memory, but another kind of file",
            name.kind()
        );
    }
    Ok((file, about.len()))
}

fn cat(name: &Name, offset: u64, length: Option<u64>) -> Result<()> {
    let (mut file, size) = open(name, OFlag::O_RDONLY, 0)?;
    if offset > size {
        bail!("shm:{name} has {size} bytes, and --offset is {offset}");
    }
    file.seek(SeekFrom::Start(offset))?;
    // A peer may make it larger all the time.
    let length = length.unwrap_or(u64::MAX).min(size - offset);
    match io::copy(&mut file.take(length), &mut io::stdout().lock()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        copied => copied.map(|_| ()).context("cannot copy the object"),
    }
}

fn input() -> Result<Vec<u8>> {
    let mut input = Vec::new();
    io::stdin()
        .read_to_end(&mut input)
        .context("standard input cannot be read")?;
    Ok(input)
}

fn write(name: &Name, offset: u64) -> Result<()> {
    let (file, size) = open(name, OFlag::O_RDWR, 0)?;
    let room = size.saturating_sub(offset);
    let mut input = Vec::new();
    // Nothing is written if not all of it fits. One byte more tells.
    io::stdin()
        .take(room.saturating_add(1))
        .read_to_end(&mut input)
        .context("standard input cannot be read")?;
    if input.len() as u64 > room {
        bail!(
            "shm:{name} has {size} bytes, so {room} from --offset {offset} on; the input has \
             more. Nothing was written"
        );
    }
    put(name, &file, &input, offset)
}

fn create(name: &Name, offset: u64, size: Option<u64>, mode: u32) -> Result<()> {
    let input = input()?;
    let end = offset
        .checked_add(input.len() as u64)
        .ok_or_else(|| anyhow!("--offset is too large"))?;
    let size = size.unwrap_or(end);
    if size < end {
        bail!(
            "--size {size} has no room for the {} bytes of input at --offset {offset}",
            input.len()
        );
    }
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
    let (file, _) = open(name, flags, mode)?;
    let made = file
        .set_len(size)
        .map_err(|error| failed("resized", name, &error))
        .and_then(|()| put(name, &file, &input, offset));
    if made.is_err() {
        // It is ours, unless somebody has put another one in its place within this instant.
        let _ = wasmtime_posix_ipc::objects::unlink(name);
    }
    made
}

fn put(name: &Name, file: &File, input: &[u8], offset: u64) -> Result<()> {
    file.write_all_at(input, offset)
        .map_err(|error| match error.kind() {
            ErrorKind::StorageFull => anyhow!(
                "shm:{name} cannot be written: there is no room in /dev/shm; `df /dev/shm` says \
                 how large it is"
            ),
            _ => failed("written", name, &error),
        })
}
