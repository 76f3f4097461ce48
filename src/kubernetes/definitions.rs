//! The definitions of the custom resources, as a cluster takes them.

use kube::CustomResourceExt;
use serde_json::Value as Json;

use super::resources::{CredentialObject, InstanceObject};

/// All definitions: YAML documents for `kubectl apply`.
///
/// # Errors
/// None in practice: they can be written.
pub fn definitions() -> anyhow::Result<String> {
    let mut texts = Vec::new();
    for definition in [InstanceObject::crd(), CredentialObject::crd()] {
        let mut definition = serde_json::to_value(definition)?;
        let versions = definition.pointer_mut("/spec/versions").and_then(Json::as_array_mut);
        for version in versions.into_iter().flatten() {
            tidy(&mut version["schema"]["openAPIV3Schema"]);
        }
        texts.push(serde_yaml::to_string(&definition)?);
    }
    Ok(texts.join("---\n"))
}

/// Nobody writes a status by hand, so that nothing of it has a default; and the name of our type says nothing.
fn tidy(schema: &mut Json) {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("title");
    }
    without_defaults(&mut schema["properties"]["status"]);
}

fn without_defaults(schema: &mut Json) {
    match schema {
        Json::Object(fields) => {
            fields.remove("default");
            fields.values_mut().for_each(without_defaults);
        }
        Json::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}
