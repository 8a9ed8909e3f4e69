//! Puts the built web UI into the binary: every file below `ui/dist`, compressed by the UI's own build, becomes an
//! entry of the table that `src/ui.rs` serves.
//!
//! The UI is built by `ui/build`, not from here: cargo must work without Node and without a network. Where nothing
//! was built the table is empty, and the server says what to do instead of showing a page.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", root.display());
    let site = root.join("site");
    let mut files = BTreeSet::new();
    if site.is_dir() {
        gather(&site, &mut files)?;
    }
    let mut table = String::from("&[\n");
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "br")) {
        let plain = file.with_extension("");
        let packed = plain.with_file_name(format!("{}.gz", name(&plain)?));
        let bytes = fs::read(file)?;
        let path =
            plain.strip_prefix(&site)?.to_str().ok_or("a file's name is not UTF-8")?.replace('\\', "/");
        writeln!(
            table,
            "    Asset {{ path: {:?}, digest: {:?}, brotli: include_bytes!({:?}), gzip: include_bytes!({:?}) }},",
            format!("/{path}"),
            format!("{:016x}", fnv(&bytes)),
            file.canonicalize()?,
            packed.canonicalize()?,
        )?;
    }
    table.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("assets.rs"), table)?;
    Ok(())
}

fn name(path: &Path) -> Result<&str, Box<dyn Error>> {
    Ok(path.file_name().and_then(|name| name.to_str()).ok_or("a file's name is not UTF-8")?)
}

fn gather(folder: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

/// Changes with the bytes: an ETag need not withstand an attacker.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
