//! Files that this program brings with it.

use anyhow::{Context, Result};
use std::path::Path;

/// Writes a file, and makes its folder if it does not exist.
pub fn write(path: &Path, text: &str) -> Result<()> {
    make_folder_of(path)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Makes the folder that a file is to be in.
pub fn make_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
