//! A moment, for programs and for people.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// A moment, as in `2026-11-23T22:41:48Z`.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String", inline)]
pub(crate) struct Moment(pub(super) Timestamp);

impl Moment {
    /// As programs read it.
    pub(crate) fn exact(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// As people do.
    pub(crate) fn for_people(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.exact()
    }
}
