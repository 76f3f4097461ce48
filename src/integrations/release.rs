//! HA's releases.

use std::fmt;

use serde::Deserialize;

/// A release of HA: its year and month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Release {
    year: u32,
    month: u32,
}

impl Release {
    /// The releases of a month.
    pub const fn new(year: u32, month: u32) -> Self {
        Self { year, month }
    }

    /// That of HA's version, as in `2024.3.3` or `2026.11.0b1`; none where it is not of that form.
    pub fn of(version: Option<&str>) -> Option<Self> {
        let mut parts = version?.trim().split('.').map(str::parse);
        let (year, month) = (parts.next()?.ok()?, parts.next()?.ok()?);
        Some(Self { year, month })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.year, self.month)
    }
}

impl TryFrom<String> for Release {
    type Error = String;

    fn try_from(version: String) -> Result<Self, String> {
        Self::of(Some(&version))
            .ok_or_else(|| format!("`{version}` is no release of Home Assistant"))
    }
}
