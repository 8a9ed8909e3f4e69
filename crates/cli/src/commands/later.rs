//! Commands that a later version brings: they exist, and say so (CONTRACT.md, "Commands").

use crate::failure::{Exit, Failure, Outcome};

pub(super) fn refuse(command: &str, meanwhile: &str) -> Outcome {
    let message = format!("`skein {command}` is not in this version");
    Err(Failure::new(Exit::Refused, "not_found", message).hint(meanwhile))
}
