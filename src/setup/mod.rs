//! From "the credential is there" to "the account is linked": HA's config flows, and the one click
//! that only a person can do.
//!
//! ```text
//!  step.rs (pure: what HA shows + what the entry answers -> what to do)
//!     ▲
//!  walk.rs (asks HA, until a person is needed or the flow is over) ──▶ target/home_assistant
//!     ▲
//!  drive.rs (begins and ends flows, at most one for an entry) ──▶ target/home_assistant
//!     ▲
//!  consent.rs (waits for the person) ◀── crate::callback (where a provider's redirect arrives)
//!  accounts.rs = the linked accounts of an entry's credential
//!  reasons.rs = HA's words for how it ended
//! ```

pub mod accounts;
pub mod consent;
pub mod drive;
pub mod reasons;
mod step;
mod walk;

#[cfg(test)]
mod tests;

pub use step::{Guide, redirect_uri, state};
