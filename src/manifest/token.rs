//! How a target's access token is had.

use std::path::{Path, PathBuf};

use super::fields::{Decoder, Located, MappingFields};
use super::reference::Handling;
use crate::diagnostic::{ProblemCode, shown};
use crate::model::Reference;
use crate::yaml::Pair;

/// The fields that name a token; a target has one of them at most.
pub(super) const FIELDS: &[&str] = &["token", "token_file", "token_command"];

/// How an access token is had.
#[derive(Clone, Debug)]
pub enum Token {
    /// The project file has it, or names it.
    Written(Located<Reference>),
    /// It is all that a file holds.
    File(PathBuf),
    /// It is all that a program prints.
    Command(TokenCommand),
    /// Somebody has logged in.
    Session,
}

/// A program that is run without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCommand {
    /// The program: a name that is looked up in `PATH`, or a path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The folder where it runs: that of the project file.
    pub folder: PathBuf,
}

impl Decoder<'_> {
    /// The token of a running HA. `path` reads a field as a path.
    pub(super) fn token(
        &mut self,
        fields: &MappingFields<'_, '_>,
        handling: &Handling,
        folder: &Path,
        path: impl FnOnce(&mut Self, &Pair<'_>) -> Option<PathBuf>,
    ) -> Option<Token> {
        let mut given = FIELDS.iter().filter_map(|name| fields.get(name));
        let Some(pair) = given.next() else { return Some(Token::Session) };
        if let Some(second) = given.next() {
            let message = format!(
                "{} and `{}` are both given",
                shown::field(&second.key.text),
                pair.key.text
            );
            self.refuse_with(
                ProblemCode::UnfitField,
                second.key.span,
                message,
                "a target has one of `token`, `token_file` and `token_command`",
            );
            return None;
        }
        match &*pair.key.text {
            "token_file" => path(self, pair).map(Token::File),
            "token_command" => self.command(pair, folder).map(Token::Command),
            _ => self.secret(pair, handling).map(Token::Written),
        }
    }

    fn command(&mut self, pair: &Pair<'_>, folder: &Path) -> Option<TokenCommand> {
        let count = self.list(pair)?.len();
        let words = self.texts(pair)?;
        let is_whole = words.len() == count;
        let mut words = words.into_iter().map(|word| word.value);
        match words.next() {
            Some(program) => {
                let folder =
                    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.to_owned();
                is_whole.then(|| TokenCommand { program, arguments: words.collect(), folder })
            }
            None if is_whole => {
                self.refuse_with(
                    ProblemCode::EmptyValue,
                    pair.value.span,
                    "`token_command` names no program",
                    "write the program and each argument as an item, as in `[pass, show, home]`",
                );
                None
            }
            None => None,
        }
    }
}
