//! JSON Schemas from types, in one dialect. A leaf.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value as Json;

/// The schema of what people write. Draft 7 is the newest that editors read reliably.
pub fn of_input<T: JsonSchema>() -> Schema {
    generate::<T>(SchemaSettings::draft07().with_transform(RecursiveTransform(without_null)))
}

/// The schema of what we write.
pub fn of_output<T: JsonSchema>() -> Schema {
    generate::<T>(SchemaSettings::draft07().for_serialize())
}

fn generate<T: JsonSchema>(settings: SchemaSettings) -> Schema {
    settings
        .with_transform(RecursiveTransform(unwrap_description))
        .into_generator()
        .into_root_schema_for::<T>()
}

/// A field may be left out, but one that is there has a value.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Json::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Json::Array(branches)) = object.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
        if let [only] = branches.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.insert("allOf".to_owned(), Json::Array(vec![only]));
        }
    }
}

/// Where a line of our source ends means nothing to a reader.
fn unwrap_description(schema: &mut Schema) {
    if let Some(Json::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}
