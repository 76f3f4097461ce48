//! Arguments that are described only where they are read.

use std::ops::Deref;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Id};

/// The arguments of a verb. To describe those of all verbs takes longer than a small plan, so clap asks for them
/// where the verb is the one that runs, or is looked at.
#[derive(Debug)]
pub(super) struct Late<A>(pub(super) A);

impl<A> Deref for Late<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A: Args> Args for Late<A> {
    fn augment_args(verb: Command) -> Command {
        verb.defer(|verb| {
            // The global ones are there by then, and help has them last.
            let global: Vec<Id> = verb.get_arguments().map(|of| of.get_id().clone()).collect();
            let verb = A::augment_args(verb);
            global.into_iter().fold(verb, |verb, id| verb.mut_arg(id, |global| global))
        })
    }

    fn augment_args_for_update(verb: Command) -> Command {
        Self::augment_args(verb)
    }
}

impl<A: FromArgMatches> FromArgMatches for Late<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        A::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        A::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, CommandFactory};

    use crate::cli::Cli;

    #[test]
    fn the_global_options_are_the_last_of_a_verb() {
        let mut program = Cli::command();
        program.build();
        for verb in program.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let headings = verb.get_arguments().filter_map(Arg::get_help_heading);
            assert_eq!(headings.last(), Some("Global options"), "{}", verb.get_name());
        }
    }
}
