//! A project and its targets, from files to plans: what every verb and the watcher start from.

mod environment;
mod targets;

pub use environment::Environment;
pub use targets::{SelectionError, is_target, one_home_assistant, select};
