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
//!  workspace/ = a project and its targets, from files to plans: what the commands and the watcher start from
//!  watch/ = a loop around this, woken by files, targets, a timer and signals ──Status──▶ server/, report/
//!  kubernetes/ = what a cluster declares, given to the same loop, and its status written back (a cargo feature)
//!  lock/ = who watches and who changes a target: one at a time
//!  doctor/ = whether all that is needed is there: project, secrets, this machine, targets
//!  verify/ = asks providers whether a client id and secret are right and a redirect URI registered
//!  callback/ = where a browser comes back to after consent or sign-in; listener.rs = its bounded server
//!  yaml_edit/ = changes files in place and leaves every other byte; encrypted_file/ = values that are
//!  encrypted; recipients.rs = whether they are encrypted to the right recipients
//!  git/ = what Git knows of files, and repositories that are fetched; repository.rs = whether it keeps secrets in plain text
//!  plan_file.rs = saved plans; codes/ = what programs read; status/ = the state of a watcher
//!  field/ = what the fields of manifests, of the project file and of targets are read into
//!  leaves: model/, diagnostic/, integrations/, http/ (connections, proxies, TLS), html/ (the frame of pages),
//!  files/, yaml/, schema.rs, suggest.rs
//! ```
//!
//! # Architecture invariants
//! - `plan` knows no I/O, clock, log, task or unordered map. What is done, and what is not, is decided there.
//! - A credential is changed only where its mark or its claim names our owner, or where its adoption was
//!   asked for; `plan::owned_only` drops every other step.
//! - A reader cannot write: [`target::Observe`] and [`target::Execute`] are two traits, and there is no dry-run flag.
//! - A plan holds no secret. The secret is fetched by key from [`model::Desired`] when a step is carried out.
//! - Only `yaml` knows the YAML parser; only `target/home_assistant` knows a WebSocket message.
//! - Only `files` opens, replaces and locks files. Every connection goes through `http`, except
//!   those to the API server of a Kubernetes cluster, which its library makes.
//! - The environment is read in `cli`, `secret/env.rs` and `http/proxy.rs`; nothing prints but `cli/console.rs` and, on a
//!   terminal, the progress bars and prompts of `cli`; nothing exits but `main`. The daemon calls downward only: nothing imports `cli`.
//!
//! `tests/it/architecture.rs`, `clippy.toml` and the lints of `Cargo.toml` keep these.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests make and read files in their own way")
)]

#[cfg(test)]
extern crate self as appcred;

pub mod callback;
pub mod cli;
pub mod codes;
mod cores;
pub mod desired;
pub mod diagnostic;
pub mod doctor;
pub mod encrypted_file;
pub mod field;
pub mod files;
pub mod git;
pub mod html;
pub mod http;
pub mod integrations;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod listener;
pub mod lock;
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
pub mod setup;
pub mod status;
pub mod suggest;
pub mod target;
pub mod verify;
pub mod watch;
pub mod workspace;
mod yaml;
pub mod yaml_edit;
