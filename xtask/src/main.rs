//! The developer's tool: `cargo xtask <command>`.
//!
//! `tidy` checks the rules that no compiler knows; `mutants` breaks each guarantee on purpose and expects
//! a named test to turn red. Nothing here is part of the product, and nothing here reads the network.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool speaks on its terminal")]

mod mutants;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const HELP: &str = "cargo xtask <command>

  tidy [--tighten]      check direction of dependencies, file lengths, module docs, cited paths, words;
                        --tighten lowers the ratchet to the lengths of today
  mutants [--list] [--minutes N] [NAME…]
                        break each guarantee in a scratch copy; its named test must turn red.
                        With --minutes as many as fit, in an order drawn from the commit";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let root = repository()?;
    match arguments.split_first() {
        Some((command, rest)) if command == "tidy" => tidy::run(&root, rest),
        Some((command, rest)) if command == "mutants" => mutants::run(&root, rest),
        None => {
            println!("{HELP}");
            Ok(())
        }
        Some((other, _)) => bail!("unknown command {other:?}\n\n{HELP}"),
    }
}

/// The repository's root: the folder above this package.
fn repository() -> Result<PathBuf> {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?);
    package.parent().map(PathBuf::from).context("xtask lies in the repository's root")
}
