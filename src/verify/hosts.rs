//! The hosts that are asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reqwest::{Client, Url};

use crate::http::{self, Network};

/// The hosts that are asked. One that was given up is not asked again: each question would take as long as a timeout, or
/// be one more to a provider that cannot keep up.
#[derive(Default)]
pub(super) struct Hosts(Mutex<BTreeMap<String, Result<Client, String>>>);

impl Hosts {
    /// What asks the host of an address; an error where it was given up.
    pub(super) fn client(&self, url: &Url) -> Result<Client, String> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.entry(name(url)).or_insert_with(|| make(url)).clone()
    }

    /// Gives up the host of an address.
    pub(super) fn give_up(&self, url: &Url, why: &str) {
        let why = format!("not asked, since asking {} failed before: {why}", name(url));
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(name(url), Err(why));
    }
}

/// A host, as an address names it.
pub(super) fn name(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn make(url: &Url) -> Result<Client, String> {
    Network::default().client(url)?.build().map_err(http::innermost)
}
