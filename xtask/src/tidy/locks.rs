//! The lock files beside the workspace's own hold what its crates ask for today.
//!
//! The fuzz targets and the end-to-end exporter are packages of their own, so that their dependencies stay out of
//! the product's. They use the workspace's crates, so a dependency added there makes their lock file stale without
//! anybody touching it; CI, which builds with `--locked`, would be the first to tell.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// The packages outside the workspace.
const BESIDE: [&str; 2] = ["fuzz", "e2e/rust"];

/// Asks Cargo whether each lock file would have to change.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut findings = Vec::new();
    for folder in BESIDE {
        let manifest = format!("{folder}/Cargo.toml");
        let output = Command::new(&cargo)
            .args(["metadata", "--locked", "--format-version", "1", "--manifest-path", &manifest])
            .current_dir(root)
            .output()
            .context("cargo metadata")?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let first = text.lines().find(|line| line.starts_with("error")).unwrap_or("cargo says no more");
            findings.push(format!(
                "{folder}/Cargo.lock: {first}; `cargo metadata --manifest-path {manifest} > /dev/null` brings it up to date"
            ));
        }
    }
    Ok(findings)
}
