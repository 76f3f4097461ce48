//! What a provider says by sending a browser back: the query of the address.

use url::form_urlencoded;

/// An answer's parts that say whose it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// By what it is known; none where there is no state in it, or more than one.
    pub state: Option<String>,
    /// Whether it says anything: a code, or why there is none.
    pub is_whole: bool,
}

impl Answer {
    /// Reads a query.
    pub fn read(query: &str) -> Self {
        let mut states = Vec::new();
        let mut is_whole = false;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "state" => states.push(value.into_owned()),
                "code" | "error" => is_whole = true,
                _ => {}
            }
        }
        let state = states.pop().filter(|_| states.is_empty());
        Self { state, is_whole }
    }
}
