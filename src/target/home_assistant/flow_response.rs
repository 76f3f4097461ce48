//! A config flow's step as HA sends it -> what it means.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::{
    ConsentLink, DeviceCode, EntryId, FieldKind, FlowAbort, FlowField, FlowForm, FlowId, FlowStep,
    Secret,
};
use crate::target::wiped_json::secret_or_none;

/// HA's answer to every call about a flow.
#[derive(Deserialize)]
pub(super) struct FlowResponse {
    #[serde(rename = "type")]
    kind: String,
    flow_id: String,
    #[serde(default)]
    step_id: Option<String>,
    #[serde(default)]
    data_schema: Option<Vec<SchemaField>>,
    #[serde(default)]
    errors: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    menu_options: Option<Value>,
    /// It may hold the client secret.
    #[serde(default, deserialize_with = "secret_or_none")]
    url: Option<Secret>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    description_placeholders: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    result: Option<CreatedEntry>,
}

#[derive(Deserialize)]
struct SchemaField {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    options: Option<Value>,
    #[serde(default)]
    selector: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct CreatedEntry {
    entry_id: String,
}

impl FlowResponse {
    pub(super) fn id(&self) -> FlowId {
        FlowId::new(self.flow_id.clone())
    }

    /// What it means; `hides_secret` says whether an authorize URL must not be shown.
    pub(super) fn read(self, hides_secret: impl FnOnce(&str) -> bool) -> FlowStep {
        let step = self.step_id.unwrap_or_default();
        match self.kind.as_str() {
            "form" => FlowStep::Form(FlowForm {
                step,
                fields: self
                    .data_schema
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(field)
                    .collect(),
                errors: errors(self.errors.unwrap_or_default()),
            }),
            "menu" => FlowStep::Menu { step, options: names(self.menu_options) },
            "external" => match self.url {
                Some(url) => {
                    let hides_secret = hides_secret(url.expose());
                    FlowStep::Consent(ConsentLink::new(url, hides_secret))
                }
                None => FlowStep::Broken,
            },
            "external_done" | "progress_done" => FlowStep::Advancing,
            "progress" => FlowStep::Progress(device_code(self.description_placeholders)),
            "create_entry" => match self.result {
                Some(entry) => FlowStep::Created(EntryId::new(entry.entry_id)),
                None => FlowStep::Broken,
            },
            "abort" => FlowStep::Aborted(FlowAbort {
                reason: self.reason.unwrap_or_else(|| "unknown".to_owned()),
                placeholders: texts(self.description_placeholders),
            }),
            _ => FlowStep::Broken,
        }
    }
}

fn field(field: SchemaField) -> Option<FlowField> {
    let SchemaField { name, required, kind, options, selector } = field;
    let kind = match (kind.as_deref(), selector) {
        (_, Some(selector)) => selected(selector),
        (Some("select"), None) => FieldKind::Choice(values(options)),
        (Some("multi_select"), None) => FieldKind::Choices(values(options)),
        (Some("string"), None) => FieldKind::Text,
        (Some("integer"), None) => FieldKind::Integer,
        (Some("float"), None) => FieldKind::Number,
        (Some("boolean"), None) => FieldKind::Flag,
        _ => FieldKind::Other,
    };
    Some(FlowField { name: name?, kind, required })
}

/// A field of the newer kind: `{"select": {"options": [...], "multiple": true}}`.
fn selected(selector: BTreeMap<String, Value>) -> FieldKind {
    match selector.into_iter().next() {
        Some((kind, details)) if kind == "select" => {
            let options = values(details.get("options").cloned());
            let is_free = details["custom_value"] == true;
            match (is_free, details["multiple"] == true) {
                (false, true) => FieldKind::Choices(options),
                (false, false) => FieldKind::Choice(options),
                (true, _) => FieldKind::Other,
            }
        }
        Some((kind, details)) if kind == "text" && details["multiple"] != true => FieldKind::Text,
        Some((kind, _)) if kind == "boolean" => FieldKind::Flag,
        Some((kind, _)) if kind == "number" => FieldKind::Number,
        _ => FieldKind::Other,
    }
}

/// The values of `[[value, label], …]`, `[{"value": …}, …]`, `[value, …]` or `{value: label}`.
fn values(options: Option<Value>) -> Vec<Value> {
    match options {
        Some(Value::Array(options)) => options
            .into_iter()
            .map(|option| match option {
                Value::Array(pair) => pair.into_iter().next().unwrap_or_default(),
                Value::Object(mut named) => named.remove("value").unwrap_or_default(),
                value => value,
            })
            .collect(),
        Some(Value::Object(options)) => {
            options.into_iter().map(|(value, _)| Value::String(value)).collect()
        }
        _ => Vec::new(),
    }
}

fn names(options: Option<Value>) -> Vec<String> {
    values(options).into_iter().filter_map(|option| option.as_str().map(str::to_owned)).collect()
}

/// What HA finds wrong with what was filled in: one message each, or several.
pub(super) fn errors(errors: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |error: Value| match error {
        Value::String(text) => text,
        Value::Array(texts) => {
            texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        _ => "refused".to_owned(),
    };
    errors.into_iter().map(|(field, error)| (field, text(error))).collect()
}

/// Both parts have many names among integrations; the code is where `code` is said.
fn device_code(placeholders: Option<BTreeMap<String, Value>>) -> Option<DeviceCode> {
    let named = |names: &[&str]| names.iter().find_map(|name| placeholder(&placeholders, name));
    Some(DeviceCode {
        url: named(&["url", "verification_url", "verification_uri"])?,
        code: named(&["user_code", "code"])?,
    })
}

fn texts(placeholders: Option<BTreeMap<String, Value>>) -> BTreeMap<String, String> {
    let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
    placeholders.unwrap_or_default().into_iter().filter_map(text).collect()
}

fn placeholder(placeholders: &Option<BTreeMap<String, Value>>, name: &str) -> Option<String> {
    placeholders.as_ref()?.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::FlowResponse;
    use crate::model::{FieldKind, FlowStep, Links};

    fn read(step: Value) -> FlowStep {
        let step: FlowResponse = serde_json::from_value(step).unwrap();
        step.read(|url| url.contains("secret"))
    }

    #[test]
    fn fields_old_and_new_are_understood() {
        let form = read(json!({
            "type": "form", "flow_id": "f", "step_id": "s", "errors": {"base": "no"},
            "data_schema": [
                {"type": "select", "options": [["a", "A"]], "name": "one", "required": true},
                {"selector": {"select": {"options": [{"value": "b", "label": "B"}], "multiple": true}}, "name": "two"},
                {"selector": {"text": {}}, "name": "three", "optional": true},
                {"type": "constant", "name": "four"},
            ],
        }));
        let FlowStep::Form(form) = form else { panic!("{form:?}") };
        let kinds: Vec<_> = form.fields.iter().map(|field| field.kind.clone()).collect();
        let expected = [
            FieldKind::Choice(vec![json!("a")]),
            FieldKind::Choices(vec![json!("b")]),
            FieldKind::Text,
            FieldKind::Other,
        ];
        assert_eq!(kinds, expected);
        assert!(form.fields[0].required && !form.fields[1].required);
        assert_eq!(form.errors["base"], "no");
    }

    #[test]
    fn a_link_with_a_secret_is_not_shown() {
        let shown = |url: &str| match read(json!({"type": "external", "flow_id": "f", "url": url}))
        {
            FlowStep::Consent(link) => link.shown(Links::Shown).ok().map(str::to_owned),
            other => panic!("{other:?}"),
        };
        assert_eq!(shown("https://a/?b"), Some("https://a/?b".to_owned()));
        assert_eq!(shown("https://a/?secret"), None);
        assert_eq!(read(json!({"type": "external", "flow_id": "f"})), FlowStep::Broken);
    }

    #[test]
    fn a_code_is_found() {
        let step = read(json!({"type": "progress", "flow_id": "f",
            "description_placeholders": {"url": "u", "user_code": "c"}}));
        let FlowStep::Progress(Some(code)) = step else { panic!("{step:?}") };
        assert_eq!((code.url.as_str(), code.code.as_str()), ("u", "c"));
        assert_eq!(read(json!({"type": "progress", "flow_id": "f"})), FlowStep::Progress(None));
    }

    #[test]
    fn a_menu_is_a_list_or_names_with_labels() {
        for options in [json!(["a"]), json!({"a": "A"})] {
            let menu = read(
                json!({"type": "menu", "flow_id": "f", "step_id": "m", "menu_options": options}),
            );
            assert_eq!(
                menu,
                FlowStep::Menu { step: "m".to_owned(), options: vec!["a".to_owned()] }
            );
        }
    }
}
