//! The commands that messages name, for the project that the command line has chosen: they can be pasted as they are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::{LazyLock, OnceLock};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches};

use super::source_args::SourceArgs;
use super::{Cli, environment};
use crate::model::Visible;

/// Before each command that a message names.
const BEGIN: &str = "`appcred ";

/// The arguments of the verb that runs.
static CHOSEN: OnceLock<ArgMatches> = OnceLock::new();
/// Each verb with the arguments that choose the same project, where any do.
static COMMANDS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| CHOSEN.get().map(commands).unwrap_or_default());

/// Reads the command line.
///
/// # Errors
/// Where it is none of this program, or asks for help.
pub(super) fn parsed() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let mut matches = command.try_get_matches_from_mut(environment::arguments())?;
    if let Some((_, chosen)) = matches.subcommand() {
        // A process reads one command line.
        let _ = CHOSEN.set(chosen.clone());
    }
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// A text in which the commands that it names are for the same project.
pub(super) fn for_project(text: &str) -> Cow<'_, str> {
    // Most texts name none, and no verb has to be looked up.
    if !text.contains(BEGIN) || COMMANDS.is_empty() {
        return text.into();
    }
    let mut parts = text.split(BEGIN);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let verb = part.split([' ', '`']).next().unwrap_or_default();
        let command = COMMANDS.get(verb).map_or(verb, String::as_str);
        whole.extend([BEGIN, command, &part[verb.len()..]]);
    }
    whole.into()
}

fn commands(chosen: &ArgMatches) -> BTreeMap<String, String> {
    let mut program = Cli::command();
    program.build();
    let sources = SourceArgs::augment_args(Command::new(""));
    let is_source =
        |argument: &&Arg| sources.get_arguments().any(|of| of.get_id() == argument.get_id());
    let before = program.get_arguments().filter(|argument| argument.get_id() == "folder");
    let before: Vec<String> = before.flat_map(|argument| given(argument, chosen)).collect();
    let of_verb = |verb: &Command| {
        let source = verb.get_arguments().filter(is_source).flat_map(|of| given(of, chosen));
        let verb = verb.get_name().to_owned();
        let words = before.iter().cloned().chain([verb.clone()]).chain(source);
        (verb, words.collect::<Vec<_>>().join(" "))
    };
    // In what is printed for programs, these would end the text that they are in.
    let is_plain = |(verb, words): &(String, String)| verb != words && !words.contains(['"', '\\']);
    program.get_subcommands().map(of_verb).filter(is_plain).collect()
}

/// An argument as it was given on the command line.
fn given(argument: &Arg, chosen: &ArgMatches) -> Vec<String> {
    let id = argument.get_id().as_str();
    let is_given = chosen.try_contains_id(id).unwrap_or_default()
        && chosen.value_source(id) == Some(ValueSource::CommandLine);
    let Some(long) = argument.get_long().filter(|_| is_given) else { return Vec::new() };
    if !argument.get_action().takes_values() {
        return vec![format!("--{long}")];
    }
    let written = |value: &OsStr| {
        let value = value.to_string_lossy();
        let value = value.visible();
        let value = shell_words::quote(&value);
        argument
            .get_short()
            .map_or(format!("--{long}={value}"), |short| format!("-{short} {value}"))
    };
    chosen.get_raw(id).into_iter().flatten().map(written).collect()
}
