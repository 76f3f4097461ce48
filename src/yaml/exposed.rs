//! Secrets in plain text in fields that hold none, of a manifest or project file.

use super::{Kind, Node, Pair, Value};
use crate::diagnostic::Span;
use crate::model::{
    AGE_HEADER, CLIENT_KEY, CLIENT_SECRET, PROXY, PlainText, SECRET_FIELDS, Secret, is_name,
    is_no_name, is_secret_answer, is_secret_number, may_be_token, password_of_url, secret_argument,
};

/// Where such a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// In an address, as its user and password.
    Address,
    /// In the place of a file's path: a token or a key.
    Path,
    /// In a word of a command.
    Argument,
    /// In an answer to a form.
    Answer,
    /// Behind a tag, in the place of a name: it could be the secret itself.
    Name,
}

/// One of them.
pub struct ExposedSecret {
    /// Where it is.
    pub exposure: Exposure,
    /// The field.
    pub field: String,
    /// Whether it is in a list of entries.
    pub is_of_entry: bool,
    /// The secret, with what is around it.
    pub secret: Secret,
    /// The place of the value.
    pub span: Span,
}

/// Finds all of them.
pub(crate) fn exposed_secrets(documents: &[Node<'_>]) -> Vec<ExposedSecret> {
    let mut found = Vec::new();
    for document in documents {
        for section in pairs(document) {
            let is_of_entry = section.key.text == CLIENT_SECRET.section;
            let mut search = ExposedSearch { is_of_entry, found: &mut found };
            search.field(section, false);
        }
    }
    found
}

fn pairs<'n, 't>(node: &'n Node<'t>) -> &'n [Pair<'t>] {
    match &node.value {
        Value::Mapping(pairs) => pairs,
        _ => &[],
    }
}

fn text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Scalar(scalar) if node.tag.is_none() && !node.alias => Some(scalar.text.trim()),
        _ => None,
    }
}

struct ExposedSearch<'f> {
    is_of_entry: bool,
    found: &'f mut Vec<ExposedSecret>,
}

impl ExposedSearch<'_> {
    /// Looks at a field, and at those below it. What is below `answers` is given to forms.
    fn field(&mut self, Pair { key, value, merged }: &Pair<'_>, is_answer: bool) {
        let field = key.text.as_ref();
        if *merged || value.alias {
            return;
        }
        if let Some(argument) = argument(field, value) {
            self.add(Exposure::Name, field, argument, value.span);
        }
        if let Some(text) = text(value) {
            let exposure = if is_answer { answer(field, value) } else { exposure(field, text) };
            if let Some((exposure, secret)) = exposure {
                self.add(exposure, field, secret, value.span);
            }
        }
        if !is_answer && (field.ends_with("command") || field == "environment") {
            self.command(field, value);
            return;
        }
        let is_answer = is_answer || self.is_of_entry && field == "answers";
        self.below(value, is_answer);
    }

    fn below(&mut self, node: &Node<'_>, is_answer: bool) {
        pairs(node).iter().for_each(|pair| self.field(pair, is_answer));
        if let Value::Sequence(items) = &node.value {
            items.iter().for_each(|item| self.below(item, is_answer));
        }
    }

    fn command(&mut self, field: &str, command: &Node<'_>) {
        let words = match &command.value {
            Value::Sequence(items) => items.as_slice(),
            _ => std::slice::from_ref(command),
        };
        let mut before = None;
        for word in words {
            let Some(text) = text(word) else { continue };
            if let Some(secret) = secret_argument(before, text) {
                self.add(Exposure::Argument, field, secret, word.span);
            }
            before = Some(text);
        }
    }

    fn add(&mut self, exposure: Exposure, field: &str, secret: &str, span: Span) {
        // A field of a form is named by whoever made it.
        let field = if is_name(field) { field } else { "answers" };
        let secret = Secret::new(secret);
        let is_of_entry = self.is_of_entry;
        self.found.push(ExposedSecret {
            exposure,
            field: field.to_owned(),
            is_of_entry,
            secret,
            span,
        });
    }
}

/// What follows the tag of a field for secrets, where it is no name but what a provider makes.
fn argument<'n>(field: &str, node: &'n Node<'_>) -> Option<&'n str> {
    let (Value::Scalar(scalar), Some(tag)) = (&node.value, &node.tag) else { return None };
    let is_secret_field = || {
        let mut fields = SECRET_FIELDS.iter().filter(|of| of.plain_text == PlainText::Refused);
        fields.any(|of| of.name == field)
    };
    let text = scalar.text.trim();
    let names = matches!(tag.name.as_str(), "secret" | "file" | "env_var");
    (names && is_secret_field() && is_no_name(text)).then_some(text)
}

/// An answer that is a secret. A number is one as a PIN and not as a time for which a token holds.
fn answer<'n>(field: &str, node: &'n Node<'_>) -> Option<(Exposure, &'n str)> {
    let Value::Scalar(scalar) = &node.value else { return None };
    let may_be_secret = match scalar.kind() {
        Kind::Text => true,
        Kind::Number | Kind::Date => is_secret_number(field),
        Kind::Null | Kind::Bool => false,
    };
    let text = text(node).filter(|text| !text.is_empty() && may_be_secret)?;
    is_secret_answer(field).then_some((Exposure::Answer, text))
}

fn exposure<'t>(field: &str, text: &'t str) -> Option<(Exposure, &'t str)> {
    let is_address = text.contains("://") || field == PROXY.name;
    let address = || password_of_url(text).filter(|_| is_address);
    let is_key = || text.starts_with("-----BEGIN") && !text.starts_with(AGE_HEADER);
    match field {
        "token_file" if may_be_token(text) => Some((Exposure::Path, text)),
        _ if field == CLIENT_KEY.name && is_key() => Some((Exposure::Path, text)),
        _ => address().map(|secret| (Exposure::Address, secret)),
    }
}
