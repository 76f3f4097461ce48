//! Application credentials as code for Home Assistant (HA).
//!
//! Git holds what is wanted, HA holds what is; `appcred` makes the second equal the first.
//!
//! ```text
//!  manifest/ ──entries──▶ desired.rs ──Desired──▶ plan/ ◀──Observed── target/ (Observe)
//!  secret/  ──secrets──▶                            │ Plan = steps + withheld
//!                                                   ▼
//!                                             reconcile/ ──operations──▶ target/ (Execute)
//!                                                   │              ▲
//!                                                   ├─────────▶ setup/ (config flows, consent)
//!                                                   │ Outcome per step
//!                                                   ▼
//!                                               report/ ──▶ cli/
//!  connect/ = where a target is and how to authenticate there; session/ = stored logins
//!  workspace/ = a project and its targets, from files to plans: what verbs and the watcher start from
//!  watch/ = what wakes this again and again: files, a timer, a signal ──Status──▶ server/, report/
//!  yaml_edit/ = changes files in place, leaving every other byte
//!  git/ = what Git knows of files; repository.rs = whether it keeps secrets in plain text
//!  recipients.rs = whether what is encrypted is so to the right ones
//!  encrypted_file/ = files with encrypted values, opened and sealed again
//!  verify/ = asks providers whether a client is right
//!  codes.rs = what programs read of plans, targets and set-ups
//!  listener.rs = a server for HTTP that nobody can shut; callback/ = where a browser comes back after
//!  consent or sign-in
//!  model/, diagnostic/, integrations/, http.rs, suggest.rs, files/,
//!  yaml/ = leaves that all may use
//! ```
//!
//! # Architecture invariants
//! - `plan` knows no I/O, clock, log, task or unordered map; what to do is decided there and nowhere else.
//! - A reader cannot write: [`target::Observe`] and [`target::Execute`] are two traits, and there is no dry-run flag.
//! - A plan holds no secret. The secret is fetched by key from [`model::Desired`] when a step is carried out.
//! - Only `manifest` and `secret` read YAML, by the one reader in `yaml`; only `target/home_assistant` knows a WebSocket message.
//! - Only `cli` and `secret/env.rs` read the environment, nothing prints but `cli/console.rs`, nothing exits but `main`.
//! - Only `files` opens, replaces and locks files.
//!
//! `tests/it/architecture.rs`, `clippy.toml` and the lints of `Cargo.toml` keep these.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests make and read files in their own way")
)]

pub mod callback;
pub mod cli;
pub mod codes;
pub mod connect;
pub mod desired;
pub mod diagnostic;
pub mod encrypted_file;
pub mod files;
pub mod git;
pub mod http;
pub mod integrations;
pub mod listener;
pub mod manifest;
pub mod model;
pub mod plan;
pub mod plan_file;
pub mod recipients;
pub mod reconcile;
pub mod report;
pub mod repository;
pub mod schema;
pub mod secret;
pub mod server;
pub mod session;
pub mod setup;
pub mod status;
pub mod suggest;
pub mod target;
pub mod verify;
pub mod watch;
pub mod workspace;
mod yaml;
pub mod yaml_edit;
