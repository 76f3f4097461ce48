//! Reading a manifest never panics, and what is read without a problem is what serde_yaml reads.

#![no_main]

use std::path::Path;

use appcred::manifest::{self, Project};
use libfuzzer_sys::fuzz_target;
use yaml_serde::Value;

fuzz_target!(|text: &str| {
    let (entries, problems) = manifest::entries(Path::new("a.yaml"), text, &Project::default());
    if problems.has_errors() || text.contains('!') {
        return;
    }
    let Ok(value) = yaml_serde::from_str::<Value>(text) else { return };
    let list = value.get("application_credentials").and_then(Value::as_sequence);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    assert_eq!(entries.len(), list.len(), "{text:?}");
    for (entry, value) in entries.iter().zip(list) {
        let domain = value.get("domain").and_then(Value::as_str);
        assert_eq!(domain.map(str::trim), Some(entry.domain.value.as_str()), "{text:?}");
    }
});
