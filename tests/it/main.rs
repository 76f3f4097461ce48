//! All integration tests, in one binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by its panic")]

mod architecture;
mod config_dir;
mod editing;
mod examples;
mod folder_apply;
mod forms;
mod ha_access;
mod ha_apply;
mod ha_authorize;
mod ha_faults;
mod ha_login;
mod ha_rotation;
mod ha_setup;
mod ha_tls;
mod laws;
mod linking;
mod plans;
mod problems;
mod published;
mod real;
mod real_provider_smoke;
mod real_smoke;
mod rekey;
mod reports;
mod schema;
mod secrets;
mod shelf;
mod shell;
mod snapshots;
mod sops;
mod sops_writing;
mod sources;
mod verify;
mod watch;
mod writing;
