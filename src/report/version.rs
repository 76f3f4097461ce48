//! Which appcred this is.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::to_json;

const FORMAT_VERSION: u32 = 1;

/// What `appcred version --format json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "appcred version")]
pub struct AppcredVersion {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// The version.
    version: String,
    /// The commit that it was built from, where that is known.
    commit: Option<String>,
    /// The day of that commit in UTC, where that is known.
    date: Option<String>,
}

impl AppcredVersion {
    /// Of what the build wrote down: a commit, and seconds since 1970; empty where it knows none.
    pub fn new(version: &str, commit: &str, seconds: &str) -> Self {
        let time = seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        Self {
            format_version: FORMAT_VERSION,
            version: version.to_owned(),
            commit: Some(commit.to_owned()).filter(|commit| !commit.is_empty()),
            date: time.map(|time| time.strftime("%Y-%m-%d").to_string()),
        }
    }

    /// As JSON.
    ///
    /// # Errors
    /// None in practice: all of it can be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        to_json(self)
    }
}

impl fmt::Display for AppcredVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)?;
        let commit = self.commit.as_deref().map(|commit| commit.get(..12).unwrap_or(commit));
        let known: Vec<&str> = commit.into_iter().chain(self.date.as_deref()).collect();
        if known.is_empty() { Ok(()) } else { write!(f, " ({})", known.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::AppcredVersion;

    #[test]
    fn a_version_has_what_is_known_of_its_build() {
        let of = |commit, seconds| AppcredVersion::new("1.2.3", commit, seconds).to_string();
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(of(commit, "1764115200"), "1.2.3 (0123456789ab, 2025-11-26)");
        assert_eq!(of("v1", ""), "1.2.3 (v1)");
        assert_eq!(of("", "0"), "1.2.3 (1970-01-01)");
        assert_eq!(of("", "no number"), "1.2.3");
    }
}
