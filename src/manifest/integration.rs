//! What becomes of the integration itself.

use std::collections::BTreeMap;

use super::address;
use super::fields::{Decoder, MappingFields};
use super::schema;
use crate::diagnostic::{ProblemCode, shown};
use crate::model::{Answers, Implementation, Integration, OnDelete};
use crate::yaml::{self, Node, Pair};

impl Decoder<'_> {
    pub(super) fn integration(&mut self, node: &Node<'_>) -> Option<Integration> {
        let fields = self.fields::<schema::IntegrationInput>(node, "`integration`")?;
        let default = Integration::default();
        let setup = match fields.get("setup") {
            Some(pair) => self.flag(pair),
            None => Some(default.setup),
        };
        let implementation = match fields.get("implementation") {
            Some(pair) => {
                self.choice(pair, &[("cloud", Implementation::Cloud), ("ask", Implementation::Ask)])
            }
            None => Some(default.implementation),
        };
        let on_delete = match fields.get("on_delete") {
            Some(pair) => self.choice(pair, &[("remove_integration", OnDelete::RemoveIntegration)]),
            None => Some(default.on_delete),
        };
        let token_url = match fields.get("token_url") {
            Some(pair) => self.token_url(pair).map(Some),
            None => Some(None),
        };
        let answers = self.answers(&fields);
        Some(Integration {
            setup: setup?,
            implementation: implementation?,
            answers: answers?,
            on_delete: on_delete?,
            token_url: token_url?,
        })
    }

    fn token_url(&mut self, pair: &Pair<'_>) -> Option<String> {
        let text = self.field_text(pair)?;
        match address::endpoint(text) {
            Ok(url) => Some(url),
            Err(why) => {
                self.refuse(ProblemCode::BadUrl, pair.value.span, format!("`token_url` {why}"));
                None
            }
        }
    }

    fn answers(&mut self, fields: &MappingFields<'_, '_>) -> Option<Answers> {
        let Some(pair) = fields.get("answers") else { return Some(BTreeMap::new()) };
        let mut answers = BTreeMap::new();
        for step in self.pairs(&pair.value, "`answers`")? {
            let mut form = BTreeMap::new();
            let what = format!("the answer to step {}", shown::field(&step.key.text));
            for field in self.pairs(&step.value, &what)? {
                match yaml::to_json(&field.value) {
                    Ok(value) => {
                        form.insert(field.key.text.to_string(), value);
                    }
                    Err(fault) => self.problems.push(fault.into_diagnostic(self.file)),
                }
            }
            answers.insert(step.key.text.to_string(), form);
        }
        Some(answers)
    }
}
