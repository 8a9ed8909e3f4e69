//! Rules that matter and that no compiler checks.
//!
//! Each check returns its findings as sentences with a path in front, and never stops at the first: a
//! person wants to see all of them at once. A rule that is not checked here is not a rule (docs/architecture.md).

mod architecture;
mod cited;
mod dependencies;
mod files;
mod lengths;
mod licences;
mod limits;
mod locks;
mod reference;

use std::path::Path;

use anyhow::{Result, bail};

use files::Sources;

/// Runs every check.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let tighten = match arguments {
        [] => false,
        [flag] if flag == "--tighten" => true,
        _ => bail!("tidy takes --tighten or nothing"),
    };
    let sources = Sources::read(root)?;
    if tighten {
        lengths::tighten(root, &sources)?;
    }
    let mut findings = Vec::new();
    findings.extend(dependencies::check(root)?);
    findings.extend(licences::check(root)?);
    findings.extend(locks::check(root)?);
    findings.extend(lengths::check(root, &sources)?);
    findings.extend(files::check(&sources));
    findings.extend(cited::check(root, &sources)?);
    findings.extend(architecture::check(root, &sources)?);
    findings.extend(limits::check(&sources)?);
    findings.extend(reference::check(&sources)?);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing to say", sources.files.len());
        Ok(())
    } else {
        bail!("tidy: {} findings", findings.len())
    }
}
