//! A format for the tests alone: it shows that a new one is this file and its line in the list.

use super::Format;

/// How many manifests there are.
pub(super) const FORMAT: Format = Format {
    name: "line-count",
    about: "for tests",
    write: |report, _| Ok(format!("{} manifests\n", report.manifests.len())),
    is_report: |text| text.ends_with(" manifests\n"),
};
