//! Who may see what lets somebody consent.

use std::io::IsTerminal;

use clap::Args;

use crate::model::Links;

use super::environment;

/// Whether consent links may be read by others
#[derive(Args, Debug, Default)]
pub(super) struct LinkArgs {
    /// Show consent links and device codes in CI, in files, and where no terminal prints them
    ///
    /// Whoever reads one first can link an account with it, so by default only a terminal shows them.
    #[arg(long)]
    show_links: bool,
}

impl LinkArgs {
    /// For what is printed: a person reads a terminal, a CI system keeps what it prints.
    pub(super) fn printed(&self) -> Links {
        self.shown_if(std::io::stdout().is_terminal() && !environment::is_ci())
    }

    /// For what is written to a file.
    pub(super) fn in_file(&self) -> Links {
        self.shown_if(false)
    }

    fn shown_if(&self, is_private: bool) -> Links {
        if self.show_links || is_private { Links::Shown } else { Links::Hidden }
    }
}
