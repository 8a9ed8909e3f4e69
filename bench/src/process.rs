//! The server as a process, watched from outside through /proc.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A running `skein serve` on free ports.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Address of the API.
    pub(crate) http: String,
    /// Address of OTLP over HTTP.
    pub(crate) otlp_http: String,
    data: PathBuf,
}

impl Server {
    /// Starts one on an empty data directory and waits until it is ready.
    pub(crate) fn start(binary: &Path, data: &Path) -> anyhow::Result<Server> {
        if data.exists() {
            std::fs::remove_dir_all(data)?;
        }
        let mut child = Command::new(binary)
            .arg("serve")
            .args(["--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}: build it with `make bench`", binary.display()))?;
        let stdout = child.stdout.take().context("the server's stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).context("the server's ready line")?;
        let address = |name: &str| {
            ready[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {line}"))
        };
        Ok(Server { http: address("http")?, otlp_http: address("otlp_http")?, child, data: data.to_owned() })
    }

    /// Processor seconds so far (user and system).
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Fields 14 and 15 of proc(5), counted after the command's closing parenthesis.
        let after = stat.rsplit_once(')').context("/proc stat")?.1;
        let ticks: f64 =
            after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
        Ok(ticks / 100.0)
    }

    /// Resident memory in MiB: at its highest since the start.
    pub(crate) fn memory_highest_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.context("VmHWM in /proc status")? / 1024.0)
    }

    /// Bytes of all segment files.
    pub(crate) fn segment_bytes(&self) -> f64 {
        directory_bytes(&self.data.join("segments"))
    }

    /// SIGTERM, and its exit must be clean.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }
}

fn directory_bytes(directory: &Path) -> f64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0.0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
        Ok(metadata) => f64::from(u32::try_from(metadata.len() >> 10).unwrap_or(u32::MAX)) * 1024.0,
        Err(_) => 0.0,
    };
    entries.flatten().map(size).sum()
}
