//! Resources of a cluster are read into a project or refused, and what a project says of them says the same again.

#![no_main]

use std::collections::BTreeMap;

use appcred::kubernetes::{RecoveredProject, recovered, resources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(RecoveredProject { instances, credentials, namespaces, .. }) = recovered(text) else { return };
    let instances: BTreeMap<_, _> = instances.into_iter().map(|(name, (instance, ..))| (name, instance)).collect();
    let credentials: Vec<_> = credentials.into_iter().map(|(credential, _)| credential).collect();
    let namespace = namespaces.first().map(String::as_str);
    let made = resources(&instances, &credentials, namespace).expect("they can be written");
    let again = recovered(&made.yaml).expect("what was written can be read");
    if !made.left_out.is_empty() || !made.lost.is_empty() {
        return;
    }
    assert!(again.left_out.is_empty() && again.lost.is_empty(), "{text:?} became {made:?}: {again:?}");
    // A label that says which target it is, is there for the entries that name targets.
    let again_instances = again.instances.into_iter().map(|(name, (instance, ..))| (name, instance));
    assert!(again_instances.eq(instances), "{text:?} became {made:?}");
    let again_credentials = again.credentials.into_iter().map(|(credential, _)| credential);
    assert!(again_credentials.eq(credentials), "{text:?} became {made:?}");
});
