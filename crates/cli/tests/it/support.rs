//! Starts the program under test.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn skein() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skein"));
    for name in ["SKEIN_URL", "SKEIN_KEY", "SKEIN_ENVIRONMENT"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The one error object on stderr.
    pub(crate) fn error(&self) -> Value {
        let body: Value =
            serde_json::from_str(self.err.trim()).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        body["error"].clone()
    }

    pub(crate) fn expect(self, code: i32) -> Said {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

pub(crate) fn run(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Said {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// A running server; ends with SIGTERM.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) ready: Value,
    pub(crate) data: Arc<TempDir>,
}

/// `serve` or `demo` on free ports.
pub(crate) fn on_free_ports(subcommand: &str, data: &Path) -> Command {
    let mut command = skein();
    command.arg(subcommand).arg("--data").arg(data);
    for option in ["--http", "--otlp-grpc", "--otlp-http"] {
        command.args([option, "127.0.0.1:0"]);
    }
    command
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::start_on(Arc::new(TempDir::new().unwrap()))
    }

    pub(crate) fn start_on(data: Arc<TempDir>) -> Server {
        let mut child = on_free_ports("serve", data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("the server did not start: {said}");
        }
        // Its log goes nowhere, but somebody has to read it.
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Server { child: Some(child), ready: serde_json::from_str(&line).unwrap(), data }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.ready["http"].as_str().unwrap())
    }

    /// A client command against this server.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let mut command = skein();
        command.args(arguments).env("SKEIN_URL", self.url());
        command
    }

    /// The rows of a specification.
    pub(crate) fn ask(&self, specification: &Value) -> Value {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("spec.json");
        std::fs::write(&path, specification.to_string()).unwrap();
        let path = path.to_str().unwrap().to_owned();
        run(&mut self.client(&["query", "--format", "json", "--spec", &path])).expect(0).json()
    }

    pub(crate) fn stop(mut self) -> i32 {
        end(self.child.take().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            end(child);
        }
    }
}

/// Sends SIGTERM and waits.
pub(crate) fn end(mut child: Child) -> i32 {
    let pid = rustix::process::Pid::from_child(&child);
    let told = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    // The process may have ended by itself; then waiting tells how.
    assert!(matches!(told, Ok(()) | Err(rustix::io::Errno::SRCH)), "{told:?}");
    child.wait().unwrap().code().unwrap_or(-1)
}
