//! A control group that bounds the memory of a server, page cache included: below the group that this program is in,
//! so that its own bounds hold as well. Version 2 (`memory.max`), else version 1 (`memory.limit_in_bytes`).
//!
//! What it refuses: to take something else for it. A limit of address space, for one, counts mapped files whole.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

const ROOT: &str = "/sys/fs/cgroup";

/// A group, which is removed when it is dropped; its processes must have ended.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    version: u8,
}

impl Group {
    /// A group with a limit. The error says why there can be none.
    pub(crate) fn new(bytes_max: u64) -> anyhow::Result<Group> {
        let own = fs::read_to_string("/proc/self/cgroup").context("this system has no control groups")?;
        let (parent, version) = parent(&own)?;
        let path = parent.join(format!("skein-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        let group = Group { path, version };
        let limit = if version == 2 { "memory.max" } else { "memory.limit_in_bytes" };
        fs::write(group.path.join(limit), bytes_max.to_string())
            .with_context(|| format!("setting {limit}"))?;
        Ok(group)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub(crate) fn sentence(&self) -> String {
        format!("a control group of version {}", self.version)
    }

    /// The most that its processes had, page cache included.
    pub(crate) fn highest(&self) -> Option<u64> {
        let file = if self.version == 2 { "memory.peak" } else { "memory.max_usage_in_bytes" };
        fs::read_to_string(self.path.join(file)).ok()?.trim().parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is left of it holds nothing.
        drop(fs::remove_dir(&self.path));
    }
}

/// The group of this process in the hierarchy that bounds memory.
fn parent(own: &str) -> anyhow::Result<(PathBuf, u8)> {
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers.split(',').any(|controller| controller == "memory") {
            return Ok((Path::new(ROOT).join("memory").join(path), 1));
        }
        let unified = Path::new(ROOT).join(path);
        let offered = fs::read_to_string(unified.join("cgroup.subtree_control")).unwrap_or_default();
        if number == "0" && offered.split_whitespace().any(|controller| controller == "memory") {
            return Ok((unified, 2));
        }
    }
    bail!("no control group of this process may bound memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found() {
        let found = parent("4:memory:/a/b\n0::/\n").unwrap();
        assert_eq!(found, (PathBuf::from("/sys/fs/cgroup/memory/a/b"), 1));
        assert!(parent("3:cpu:/a\n").is_err());
    }
}
