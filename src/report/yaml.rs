//! The JSON reports in YAML, for people who read that.

use serde_json::Value;

use super::{Format, json};

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "yaml",
    about: "what json has, in YAML",
    write: |report, links| Ok(of_json(&(json::FORMAT.write)(report, links)?)?),
    is_report: |text| serde_yaml::from_str(text).is_ok_and(|report| json::is_report(&report)),
};

/// The same in YAML.
///
/// # Errors
/// Where the text is not JSON.
pub fn of_json(text: &str) -> serde_json::Result<String> {
    let value: Value = serde_json::from_str(text)?;
    serde_yaml::to_string(&value).map_err(serde::ser::Error::custom)
}
