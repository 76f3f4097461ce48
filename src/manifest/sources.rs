//! The programs that the project file names as sources of secrets.

use std::time::Duration;

use super::decode::{Decoder, Site};
use super::entry::given;
use super::schema::{SopsProgramInput, SourceInput};
use crate::diagnostic::{Located, ProblemCode};
use crate::field::{Field, FieldRefusal, NAME_HELP, Pairs, Raw, Seconds, Text, Texts};
use crate::model::{Key, is_variable_name};
use crate::secret::{ASKED, SecretProgram, SecretPrograms};

/// What `sops_program` needs no more.
const OF_DECRYPTING: [&str; 4] = [ASKED, "decrypt", "-d", "--decrypt"];
/// How long a program may take, in seconds.
const USUAL: u16 = 30;

impl<'n> Decoder<'n> {
    /// The sources that could be read, and whether those are all.
    pub(super) fn sources(
        &self,
        sources: Option<Field<Pairs<Raw<SourceInput>>>>,
    ) -> (SecretPrograms, bool) {
        let mut all = SecretPrograms::new();
        let Some(sources) = given(sources, Pairs(Vec::new())) else { return (all, false) };
        let count = sources.0.len();
        for source in sources.0 {
            let site = self.site(&source);
            if Key::new(site.key_text()).is_none() {
                let message = "this is not a valid name for a source";
                let problem = self.error(ProblemCode::BadName, site.key_span(), message);
                self.report(problem.help(NAME_HELP));
                continue;
            }
            let program = self.source(site);
            all.extend(program.map(|program| (site.key_text().to_owned(), program)));
        }
        let is_whole = all.len() == count;
        (all, is_whole)
    }

    fn source(&self, site: Site<'n>) -> Option<SecretProgram> {
        let input = self.read::<SourceInput>(site)?;
        let at = self.site(&input.command);
        let command = self.command(input.command)?;
        let Some((program, arguments)) = command.split_first() else {
            let why = "must name the program and its arguments";
            let help = "write the program that prints the secret, as in `[op, read, \"{}\"]`";
            self.refuse(at, FieldRefusal::new(ProblemCode::BadValue, why).help(help));
            return None;
        };
        let places: usize = arguments.iter().map(|word| word.matches(ASKED).count()).sum();
        if places != 1 || program.contains(ASKED) {
            let why = "must have `{}` once, in one of the program's arguments";
            let help = "it is replaced by what a manifest asks for, as in `[op, read, \"{}\"]`";
            self.refuse(at, FieldRefusal::new(ProblemCode::BadValue, why).help(help));
            return None;
        }
        if is_script(&command) {
            let why = "has `{}` inside of a script, so that a manifest could run any command";
            let help =
                "give it as an argument of its own, as in `[sh, -c, 'pass \"$1\"', sh, \"{}\"]`";
            self.refuse(at, FieldRefusal::new(ProblemCode::BadValue, why).help(help));
            return None;
        }
        Some(SecretProgram {
            timeout: self.timeout(input.timeout),
            environment: self.variables(input.environment),
            command,
        })
    }

    /// The words of a command, where each could be read.
    fn command(&self, words: Texts<String>) -> Option<Vec<String>> {
        let (words, is_whole) = self.known_texts(Some(words));
        is_whole.then(|| words.into_iter().map(|word| word.value).collect())
    }

    /// The program for SOPS documents that no age identity opens.
    pub(super) fn sops_program(&self, input: Field<SopsProgramInput>) -> Option<SecretProgram> {
        let input = input.value?;
        let at = self.site(&input.command);
        let command = self.command(input.command)?;
        if command.is_empty() {
            let why = "must name the program";
            let refusal = FieldRefusal::new(ProblemCode::BadValue, why);
            self.refuse(at, refusal.help("write `command: [sops]`"));
            return None;
        }
        if command.iter().any(|word| OF_DECRYPTING.contains(&word.as_str())) {
            let why = "has arguments that appcred adds itself";
            let refusal = FieldRefusal::new(ProblemCode::BadValue, why);
            self.refuse(
                at,
                refusal.help("write `[sops]`, or the program that runs SOPS with what follows"),
            );
            return None;
        }
        Some(SecretProgram {
            timeout: self.timeout(input.timeout),
            environment: self.variables(input.environment),
            command,
        })
    }

    /// The names of variables that a program gets; their values are not written here.
    fn variables(&self, names: Option<Texts<String>>) -> Vec<String> {
        let names = names.and_then(|names| self.texts(names)).unwrap_or_default();
        let is_name = |name: &Located<String>| {
            let is_name = !name.value.is_empty() && is_variable_name(&name.value);
            if !is_name {
                let message = "this is not the name of an environment variable";
                let problem = self.error(ProblemCode::BadValue, name.spot.span, message);
                self.report(problem.help("write the name alone, as in `[VAULT_TOKEN]`: the value is that which appcred has in its own environment"));
            }
            is_name
        };
        names.into_iter().filter(is_name).map(|name| name.value).collect()
    }

    fn timeout(&self, timeout: Option<Field<Text<Seconds>>>) -> Duration {
        let seconds = timeout.and_then(|timeout| self.text(timeout));
        Duration::from_secs(seconds.map_or(USUAL, |seconds| seconds.value.0).into())
    }
}

/// Whether what a manifest asks for would be part of a script, as behind the `-c` of a shell.
fn is_script(command: &[String]) -> bool {
    let takes_script = |option: &str| {
        // Letters alone: Vault's `-field=value` is none.
        let is_letters = |text: &&str| text.bytes().all(|letter| letter.is_ascii_alphabetic());
        let letters = option.strip_prefix('-').filter(is_letters);
        let is_short = letters.is_some_and(|letters| letters.ends_with(['c', 'e', 'E']));
        is_short || matches!(option, "--eval" | "--command" | "--exec")
    };
    command.windows(2).any(|pair| takes_script(&pair[0]) && pair[1].contains(ASKED))
        || command.iter().any(|word| word.starts_with("--eval=") && word.contains(ASKED))
}
