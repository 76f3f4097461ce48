//! What an entry says of its integration: how it is set up, and which accounts are linked.

use serde_json::Value as Json;

use super::decode::Decoder;
use super::entry::given;
use super::schema::IntegrationInput;
use crate::diagnostic::{Located, ProblemCode, Span};
use crate::field::{Field, FieldRefusal, Pairs, Raw, Text, Texts, TokenUrl};
use crate::integrations;
use crate::model::{AccountName, Answers, Domain, Integration, hidden};
use crate::yaml;

impl<'n> Decoder<'n> {
    pub(super) fn integration(&self, input: IntegrationInput) -> Option<Integration> {
        let default = Integration::default();
        let address = |url: Option<Field<Text<TokenUrl>>>| {
            url.map_or(Some(None), |url| self.text(url).map(|url| Some(url.value.0)))
        };
        let (token_url, authorize_url) = (address(input.token_url), address(input.authorize_url));
        let answers = input.answers.map_or(Some(Answers::new()), |answers| self.answers(answers));
        Some(Integration {
            setup: given(input.setup, default.setup)?,
            accounts: default.accounts,
            implementation: given(input.implementation, default.implementation)?,
            answers: answers?,
            on_delete: given(input.on_delete, default.on_delete)?,
            token_url: token_url?,
            authorize_url: authorize_url?,
        })
    }

    pub(super) fn accounts(
        &self,
        list: Texts<AccountName>,
        domain: Option<&Domain>,
    ) -> Option<Vec<AccountName>> {
        let site = self.site(&list);
        if list.value.as_ref()?.is_empty() {
            let refusal = FieldRefusal::new(ProblemCode::EmptyValue, "is empty");
            self.refuse(site, refusal.help("leave it out where any one account will do"));
            return None;
        }
        let names = self.texts(list)?;
        let mut is_whole = true;
        for (at, name) in names.iter().enumerate() {
            let is_same =
                |other: &&Located<AccountName>| other.value.is_called(name.value.as_str());
            let Some(first) = names[..at].iter().find(is_same) else { continue };
            is_whole = false;
            let message = format!("the account `{}` is named twice", name.value);
            let problem = self.error(ProblemCode::DuplicateAccount, name.spot.span, message);
            self.report(problem.related(first.spot.clone(), "first here").help(
                "remove it, or give one of them another name; upper and lower case are the same",
            ));
        }
        if let Some(domain) = domain.filter(|domain| integrations::has_always_one_account(domain))
            && names.len() > 1
        {
            is_whole = false;
            let why =
                format!("has several accounts, and Home Assistant links only one of `{domain}`");
            self.refuse(
                site,
                FieldRefusal::new(ProblemCode::UnfitField, why).help("keep one of them"),
            );
        }
        is_whole.then(|| names.into_iter().map(|name| name.value).collect())
    }

    fn answers(&self, steps: Field<Pairs<Pairs<Raw<Json>>>>) -> Option<Answers> {
        let mut answers = Answers::new();
        let mut is_whole = true;
        for step in steps.value?.0 {
            let form = answers.entry(self.site(&step).key_text().to_owned()).or_default();
            is_whole &= step.value.is_some();
            for field in step.value.map_or(Vec::new(), |fields| fields.0) {
                let site = self.site(&field);
                self.check_hidden(site.key_span(), site.key_text());
                match yaml::to_json(site.node) {
                    Ok(value) => {
                        for text in texts(&value) {
                            self.check_hidden(site.span(), text);
                        }
                        form.insert(site.key_text().to_owned(), value);
                    }
                    Err(fault) => {
                        is_whole = false;
                        self.report(fault.into_diagnostic(self.file));
                    }
                }
            }
        }
        is_whole.then_some(answers)
    }

    /// Reports hidden or misleading characters in an answer.
    fn check_hidden(&self, span: Span, text: &str) {
        let mut lines = text.split(['\n', '\r', '\t']);
        let Some((_, hidden)) = lines.find_map(hidden) else { return };
        let message = format!("this answer has the hidden character U+{:04X}", u32::from(hidden));
        let problem = self.error(ProblemCode::HiddenCharacter, span, message);
        self.report(problem.help("remove it, or write the text anew"));
    }
}

/// All texts of an answer, and of its keys.
fn texts(value: &Json) -> Vec<&str> {
    match value {
        Json::String(text) => vec![text],
        Json::Array(items) => items.iter().flat_map(texts).collect(),
        Json::Object(fields) => {
            let inner = fields.iter().map(|(key, value)| (key.as_str(), texts(value)));
            inner.flat_map(|(key, texts)| std::iter::once(key).chain(texts)).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Vec::new(),
    }
}
