//! How a target's access token is had.

use std::path::{Path, PathBuf};

use super::decode::{Decoder, Site};
use super::field::{Located, Refusal, Texts};
use super::project::Paths;
use super::reference::Handling;
use super::schema::TargetInput;
use crate::model::Reference;

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

impl<'n> Decoder<'n> {
    /// The fields of a target that go with `url`, those of a token first.
    pub(super) fn beside_url(&self, target: &TargetInput) -> [Option<Site<'n>>; 5] {
        [
            target.token.as_ref().map(|field| self.site(field)),
            target.token_file.as_ref().map(|field| self.site(field)),
            target.token_command.as_ref().map(|field| self.site(field)),
            target.ca_file.as_ref().map(|field| self.site(field)),
            target.proxy.as_ref().map(|field| self.site(field)),
        ]
    }

    /// The token of a running HA.
    pub(super) fn token(
        &self,
        target: &mut TargetInput,
        handling: &Handling,
        paths: Paths<'_>,
    ) -> Option<Token> {
        let [written, file, command, ..] = self.beside_url(target);
        let mut given = [written, file, command].into_iter().flatten();
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            let refusal = Refusal::new("unfit-field", format!("and {first} are both given"));
            let help = "a target has one of `token`, `token_file` and `token_command`";
            self.refuse(second, refusal.help(help).at(second.key_span()));
            return None;
        }
        if let Some(token) = &target.token {
            return self.secret(token, handling).map(Token::Written);
        }
        if let Some(file) = target.token_file.take() {
            return self.path(paths, file).map(Token::File);
        }
        match target.token_command.take() {
            Some(command) => self.command(command, paths.folder).map(Token::Command),
            None => Some(Token::Session),
        }
    }

    fn command(&self, list: Texts<String>, folder: &Path) -> Option<TokenCommand> {
        let count = list.value.as_ref()?.len();
        if count == 0 {
            let refusal = Refusal::new("empty-value", "names no program");
            let help = "write the program and each argument as an item, as in `[pass, show, home]`";
            self.refuse(self.site(&list), refusal.help(help));
        }
        let words = self.texts(list)?;
        let is_whole = words.len() == count;
        let mut words = words.into_iter().map(|word| word.value);
        let program = words.next().filter(|_| is_whole)?;
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.to_owned();
        Some(TokenCommand { program, arguments: words.collect(), folder })
    }
}
