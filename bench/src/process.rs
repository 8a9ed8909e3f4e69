//! The server as a process, watched from outside through /proc, the data directory and /metrics.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::clock;
use crate::http::Connection;
use crate::metrics::Metrics;

/// Which server is measured, and where its data lies.
#[derive(Args, Debug, Clone)]
pub(crate) struct ServerOptions {
    /// The server's binary; by default the one beside this program.
    #[arg(long)]
    skein: Option<PathBuf>,
    /// Where data is written; it is removed before a run.
    #[arg(long, default_value = "bench/out")]
    pub(crate) scratch: PathBuf,
    /// Its configuration file.
    #[arg(skip)]
    pub(crate) config: Option<PathBuf>,
    /// The control group that it is started in.
    #[arg(skip)]
    pub(crate) group: Option<PathBuf>,
}

impl ServerOptions {
    /// Starts a server on an empty data directory.
    pub(crate) fn start_empty(&self) -> anyhow::Result<Server> {
        let data = self.data();
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        std::fs::create_dir_all(&self.scratch)?;
        self.start()
    }

    /// Starts a server on the data that is there.
    pub(crate) fn start(&self) -> anyhow::Result<Server> {
        let binary = match &self.skein {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("skein"),
        };
        Server::start(&binary, self)
    }

    /// The same server with another place for its data.
    pub(crate) fn at(&self, scratch: PathBuf) -> ServerOptions {
        ServerOptions { skein: self.skein.clone(), scratch, config: None, group: None }
    }

    /// In a control group.
    pub(crate) fn within(&self, group: &Path) -> ServerOptions {
        ServerOptions { group: Some(group.to_owned()), ..self.clone() }
    }

    /// With these settings.
    pub(crate) fn with_config(&self, name: &str, settings: &Value) -> anyhow::Result<ServerOptions> {
        std::fs::create_dir_all(&self.scratch)?;
        let path = self.scratch.join(name).with_extension("json");
        std::fs::write(&path, settings.to_string())?;
        Ok(ServerOptions { config: Some(path), ..self.clone() })
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.scratch.join("data")
    }
}

/// A running `skein serve` on free ports.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Address of the API.
    pub(crate) http: String,
    /// Address of OTLP over HTTP.
    pub(crate) otlp_http: String,
    data: PathBuf,
    /// From its start until /readyz said yes.
    pub(crate) ready_after: Duration,
}

impl Server {
    fn start(binary: &Path, options: &ServerOptions) -> anyhow::Result<Server> {
        let data = &options.data();
        let begin = clock::now();
        let log = std::fs::File::create(data.with_extension("log")).context("the server's log")?;
        let mut command = match &options.group {
            None => Command::new(binary),
            Some(group) => {
                // It joins the group before it is the server, so that nothing of it is counted elsewhere.
                let mut shell = Command::new("sh");
                shell
                    .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
                    .arg(group.join("cgroup.procs"))
                    .arg(binary);
                shell
            }
        };
        command.arg("serve");
        if let Some(config) = &options.config {
            command.arg("--config").arg(config);
        }
        let mut child = command
            .args(["--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"])
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}: build it with `make bench`", binary.display()))?;
        let stdout = child.stdout.take().context("the server's stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).context("the server's ready line")?;
        let address = |name: &str| {
            ready[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {line}"))
        };
        let (http, otlp_http) = (address("http")?, address("otlp_http")?);
        let mut connection = Connection::open(&http)?;
        while connection.get("/readyz")?.status != 200 {
            if begin.elapsed() > Duration::from_secs(600) {
                bail!("the server is not ready after {:?}", begin.elapsed());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Server { http, otlp_http, child, data: data.to_owned(), ready_after: begin.elapsed() })
    }

    /// What it says about itself.
    pub(crate) fn metrics(&self) -> anyhow::Result<Metrics> {
        let response = Connection::open(&self.http)?.get("/metrics")?;
        anyhow::ensure!(response.status == 200, "/metrics answered {}", response.status);
        Ok(Metrics::parse(&String::from_utf8_lossy(&response.body)))
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

    /// Resident memory now, in MiB.
    pub(crate) fn memory_mib(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        let mib = |name: &str| Ok::<f64, anyhow::Error>(field(name).context("/proc status")? / 1024.0);
        let resident = mib("VmRSS:")?;
        // Pages of mapped files are the kernel's cache: it takes them back when somebody else needs them.
        Ok(Memory { resident, own: resident - mib("RssFile:")?, highest: mib("VmHWM:")? })
    }

    /// Bytes below a folder of the data directory.
    pub(crate) fn bytes_of(&self, folder: &str) -> anyhow::Result<u64> {
        bytes_of(&self.data.join(folder))
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

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// An error elsewhere must not leave a server behind.
impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Resident memory in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// All of it.
    pub(crate) resident: f64,
    /// Without mapped files.
    pub(crate) own: f64,
    /// The highest since the start, all of it.
    pub(crate) highest: f64,
}

/// Bytes of a file, or of all files below a folder; 0 for what is not there.
pub(crate) fn bytes_of(path: &Path) -> anyhow::Result<u64> {
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(0) };
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut sum = 0;
    for entry in std::fs::read_dir(path)? {
        sum += bytes_of(&entry?.path())?;
    }
    Ok(sum)
}
