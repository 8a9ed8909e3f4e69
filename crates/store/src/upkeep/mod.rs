//! Upkeep of a data directory (DESIGN.md §7): check it, copy it, put a copy back, and make whole again what a bad
//! disk left.
//!
//! What it refuses: to change anything without being told to (`verify` and `Doctor::examine` only look), to delete
//! what it cannot replace (it goes to `quarantine/`), and to call anything sound that it did not check.
//!
//! Reading order: [`Report`], [`verify`], `compare`, [`backup`], [`restore`], `rebuild`, `repair`, [`doctor`].

mod backup;
mod compare;
mod doctor;
mod fingerprint;
mod fixed_files;
mod manifest;
mod rebuild;
mod repair;
mod report;
mod restore;
mod side_by_side;
mod verify;

pub use backup::{BackupOptions, BackupReport, backup};
pub use doctor::{Cure, DoctorReport, doctor};
pub use report::{Checked, Progress, Remark, Report, Severity, Step};
pub use restore::{RestoreReport, check_backup, is_backup, restore};
pub use verify::{Source, verify, verify_source};
