//! What a field of the files means, from their schemas.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value as Json;

use crate::suggest;

/// Fields are looked for so far down.
const MOST_LEVELS: usize = 3;

/// A value of a file, in the schema that it is described in.
#[derive(Clone, Copy)]
struct FieldNode<'s> {
    schema: &'s Json,
    /// What is said of the value itself.
    node: &'s Json,
}

/// What is known of a field by its name, as in `entry.client_secret`, `client_secret` or `policy.prune`; without a
/// name, which fields there are.
///
/// # Errors
/// Where there is no such field, with what was most likely meant.
pub fn explain(field: Option<&str>, manifest: &Json, project: &Json) -> Result<String, String> {
    let root = |schema| FieldNode { schema, node: schema };
    let (list, project) = (root(manifest).field("application_credentials"), root(project));
    let list = list.ok_or("the schema of manifests has no list of entries")?;
    let entry = list.item().ok_or("the schema of manifests has no entries")?;
    let Some(field) = field else {
        let mut text = "An entry of a manifest (`appcred explain entry.FIELD`):\n".to_owned();
        text.push_str(&entry.fields_text());
        text.push_str("\nThe project file, appcred.yaml (`appcred explain FIELD`):\n");
        return Ok(text + &project.fields_text());
    };
    if field.split('.').any(str::is_empty) {
        return Err(format!(
            "`{field}` has an empty part: write names with a dot between, as in `policy.prune`"
        ));
    }
    let mut names = field.split('.').peekable();
    let mut at = match names.peek().copied().unwrap_or_default() {
        "application_credentials" if field == "application_credentials" => {
            names.next();
            list
        }
        "entry" | "application_credentials" => {
            names.next();
            entry
        }
        "project" => {
            names.next();
            project
        }
        name if project.field(name).is_none() && entry.field(name).is_some() => entry,
        name if project.field(name).is_none() => {
            let known =
                ["entry", "project"].into_iter().chain(entry.names()).chain(project.names());
            let mut paths = project.paths(&format!(".{name}"), "", MOST_LEVELS);
            paths.extend(entry.paths(&format!(".{name}"), "entry", MOST_LEVELS));
            let paths = suggest::listed(paths.iter().map(String::as_str));
            return Err(match paths.is_empty() {
                true => suggest::missing("field", name, known),
                false => format!("there is no field `{name}` at the top: did you mean {paths}?"),
            });
        }
        _ => project,
    };
    let mut parent = String::new();
    for name in names {
        let below = at.field(name).or_else(|| at.named_value());
        at = below.ok_or_else(|| match at.names().next() {
            None => format!("`{parent}` has no fields"),
            Some(_) => suggest::missing("field", name, at.names()),
        })?;
        parent = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
    }
    Ok(at.text(field))
}

/// The names of all fields that can be asked for.
pub fn fields(manifest: &Json, project: &Json) -> Vec<String> {
    let root = |schema| FieldNode { schema, node: schema };
    let entry = root(manifest).field("application_credentials").and_then(FieldNode::item);
    let of_entry = entry.map(|entry| entry.paths("", "entry", MOST_LEVELS)).unwrap_or_default();
    of_entry.into_iter().chain(root(project).paths("", "", MOST_LEVELS)).collect()
}

impl<'s> FieldNode<'s> {
    fn at(self, node: &'s Json) -> Self {
        Self { node, ..self }
    }

    /// The same where its form is described.
    fn form(self) -> Self {
        let mut node = self.node;
        loop {
            let reference = node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
            node = match (reference.and_then(|at| self.schema.pointer(at)), node["allOf"].get(0)) {
                (Some(named), _) => named,
                (None, Some(only)) => only,
                (None, None) => return self.at(node),
            };
        }
    }

    /// All forms that it may have.
    fn forms(self) -> Vec<Self> {
        let form = self.form();
        let several = form.node["anyOf"].as_array().or_else(|| form.node["oneOf"].as_array());
        match several {
            Some(forms) => forms.iter().flat_map(|node| self.at(node).forms()).collect(),
            None => vec![form],
        }
    }

    /// The mapping's fields, or those of each item of a list or mapping by name.
    fn fields(self) -> Vec<(&'s String, Self)> {
        let own = |form: Self| {
            let fields = form.node["properties"].as_object().into_iter().flatten();
            fields.map(move |(name, node)| (name, form.at(node))).collect::<Vec<_>>()
        };
        // Each kind of target has `labels`: that is one field.
        let mut seen = BTreeSet::new();
        let fields = self.forms().into_iter().flat_map(own);
        let fields: Vec<_> = fields.filter(|(name, _)| seen.insert(*name)).collect();
        match self.item().filter(|_| fields.is_empty()) {
            Some(item) => item.fields(),
            None => fields,
        }
    }

    fn field(self, name: &str) -> Option<Self> {
        self.fields().into_iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    fn names(self) -> impl Iterator<Item = &'s str> {
        self.fields().into_iter().map(|(name, _)| name.as_str())
    }

    /// What each item of the list is, or each value of the mapping by names of people's own.
    fn item(self) -> Option<Self> {
        let of_list = |form: Self| form.node.get("items").map(|node| form.at(node));
        self.named_value().or_else(|| self.forms().into_iter().find_map(of_list))
    }

    fn named_value(self) -> Option<Self> {
        let values = |form: Self| {
            form.node.get("additionalProperties").filter(|of| of.is_object()).map(|of| form.at(of))
        };
        self.forms().into_iter().find_map(values)
    }

    /// The fields below it whose paths end so, as one writes them; names of people's own are `NAME`.
    fn paths(self, end: &str, above: &str, levels: usize) -> Vec<String> {
        let mut paths = Vec::new();
        for (name, field) in self.fields() {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            if path.ends_with(end) {
                paths.push(path.clone());
            }
            if levels > 0 {
                paths.extend(field.paths(end, &path, levels - 1));
            }
        }
        paths
    }

    fn about(self) -> &'s str {
        let of = |node: &'s Json| node["description"].as_str();
        of(self.node).or_else(|| of(self.form().node)).unwrap_or_default()
    }

    /// What kind of value it is.
    fn kind(self) -> String {
        let kinds = |form: Self| -> Vec<(Self, &'s str)> {
            let several = form.node["type"].as_array().into_iter().flatten();
            let of_several = several.filter_map(Json::as_str).filter(|kind| *kind != "null");
            let one = form.node["type"].as_str();
            let kinds: Vec<_> = one.into_iter().chain(of_several).collect();
            let kinds = if kinds.is_empty() { vec!["string"] } else { kinds };
            kinds.into_iter().map(|kind| (form, kind)).collect()
        };
        let kinds = self.forms().into_iter().flat_map(kinds).map(|(form, kind)| match kind {
            _ if form.node.get("const").is_some() => "one of the values below".to_owned(),
            "boolean" => "true or false".to_owned(),
            "integer" | "number" => "number".to_owned(),
            "object" => "mapping".to_owned(),
            "array" => match form.item() {
                Some(item) => format!("list, each item: {}", item.kind()),
                None => "list".to_owned(),
            },
            _ => "text".to_owned(),
        });
        let mut kinds: Vec<String> = kinds.collect();
        let mut seen = BTreeSet::new();
        kinds.retain(|kind| seen.insert(kind.clone()));
        kinds.join(", or ")
    }

    fn values(self) -> Vec<(&'s str, &'s str)> {
        let forms = self.forms().into_iter();
        forms.filter_map(|form| Some((form.node["const"].as_str()?, form.about()))).collect()
    }

    /// Whether each form that is a mapping needs it.
    fn is_required(self, name: &str) -> bool {
        let has = |form: &Self| {
            let required = form.node["required"].as_array();
            required.is_some_and(|names| names.iter().any(|known| known == name))
        };
        let forms = self.forms();
        let mappings: Vec<&Self> =
            forms.iter().filter(|form| form.node.get("properties").is_some()).collect();
        match self.item().filter(|_| mappings.is_empty()) {
            Some(item) => item.is_required(name),
            None => !mappings.is_empty() && mappings.into_iter().all(has),
        }
    }

    fn text(self, name: &str) -> String {
        let mut text = format!("{name}: {}\n\n  {}\n", self.kind(), self.about());
        let values = self.values();
        if !values.is_empty() {
            text.push_str("\nValues:\n");
            for (value, about) in values {
                let _ = writeln!(text, "  {value}\n      {about}");
            }
        }
        let fields = self.fields_text();
        if !fields.is_empty() {
            text.push_str("\nFields:\n");
            text.push_str(&fields);
        }
        text
    }

    fn fields_text(self) -> String {
        let mut text = String::new();
        for (name, field) in self.fields() {
            let required = if self.is_required(name) { ", required" } else { "" };
            let _ =
                writeln!(text, "  {name} ({}{required})\n      {}", field.kind(), field.about());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::explain;

    fn schemas() -> (Json, Json) {
        let item = json!({"properties": {
            "domain": {"type": "string", "description": "The integration."},
            "prune": {"allOf": [{"$ref": "#/definitions/Prune"}], "description": "What goes."},
        }, "required": ["domain"], "description": "One."});
        let prune = json!({"oneOf": [{"const": "all", "description": "All."}, {"const": "none", "description": "None."}]});
        let target = json!({"anyOf": [
            {"properties": {"url": {"type": "string", "description": "Where."}, "off": {"type": "boolean"}}},
            {"properties": {"dir": {"type": "string", "description": "A folder."}, "off": {"type": "boolean"}}},
        ]});
        let manifest = json!({
            "properties": {"application_credentials": {"type": ["array", "null"], "items": {"$ref": "#/definitions/Item"}}},
            "definitions": {"Item": item, "Prune": prune},
        });
        let project = json!({
            "properties": {
                "owner": {"type": "string", "description": "Whose."},
                "targets": {"type": "object", "additionalProperties": {"$ref": "#/definitions/Target"}, "description": "Where to."},
                "limits": {"type": "array", "items": {"type": "integer"}, "description": "How many."},
            },
            "definitions": {"Target": target},
        });
        (manifest, project)
    }

    fn of(field: &str) -> Result<String, String> {
        let (manifest, project) = schemas();
        explain(Some(field), &manifest, &project)
    }

    #[test]
    fn a_field_is_found_by_its_name_wherever_it_is() {
        for (field, expected) in [
            ("entry.domain", "entry.domain: text\n\n  The integration.\n"),
            ("domain", "domain: text\n\n  The integration.\n"),
            (
                "prune",
                "prune: one of the values below\n\n  What goes.\n\nValues:\n  all\n      All.\n  none\n      None.\n",
            ),
            ("owner", "owner: text\n\n  Whose.\n"),
            ("limits", "limits: list, each item: number\n\n  How many.\n"),
            ("targets.home.url", "targets.home.url: text\n\n  Where.\n"),
            ("targets.dir", "targets.dir: text\n\n  A folder.\n"),
        ] {
            assert_eq!(of(field).unwrap(), expected);
        }
        let entry = of("entry").unwrap();
        assert!(entry.contains("  domain (text, required)\n      The integration.\n"), "{entry}");
        let list = of("application_credentials").unwrap();
        assert!(list.starts_with("application_credentials: list, each item: "), "{list}");
        let targets = of("targets").unwrap();
        assert!(
            targets.contains("  url (text)\n") && targets.contains("  dir (text)\n"),
            "{targets}"
        );
        assert_eq!(targets.matches("  off (").count(), 1, "{targets}");
        let (manifest, project) = schemas();
        let all = explain(None, &manifest, &project).unwrap();
        assert!(all.contains("  domain (") && all.contains("  owner ("), "{all}");
    }

    #[test]
    fn what_is_mistyped_is_guessed() {
        for (field, expected) in [
            ("ownr", "there is no field `ownr`: did you mean `owner`?"),
            ("entry.domin", "there is no field `domin`: did you mean `domain`?"),
            ("targets.home.ur", "there is no field `ur`"),
            ("owner.x", "`owner` has no fields"),
            (".owner", "`.owner` has an empty part"),
            ("url", "there is no field `url` at the top: did you mean `targets.url`?"),
        ] {
            let error = of(field).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
