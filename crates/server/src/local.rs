//! The local log and store in one data directory.

use std::sync::Arc;

use skein_event::observe::{Clock, Observer};

use crate::config::Config;
use crate::storage::Storage;

/// Opens the data directory: takes its lock, recovers, replays the log into the heads. Blocks.
pub(crate) fn open(
    config: &Config,
    _clock: &Arc<dyn Clock>,
    _observer: Arc<dyn Observer>,
) -> anyhow::Result<Storage> {
    anyhow::bail!("{} cannot be opened: this build has no local storage yet", config.data.display())
}

/// Whether opening failed because another process has the data directory.
pub(crate) fn is_locked(_error: &anyhow::Error) -> bool {
    false
}
