//! Arguments that several verbs share: which targets, which entries, and what a plan may do.

use std::convert::Infallible;

use clap::{Args, ValueEnum};

use crate::integrations;
use crate::model::{
    Glob, Key, LabelSelector, MaxDeletes, PolicyOverrides, Prune, Selection, TargetSelection,
};

use super::candidates;

/// Which targets.
#[derive(Args, Debug, Default)]
pub(super) struct TargetArgs {
    /// Only this target; `*` and `?` as for --key. Several with commas between, or given several times
    #[arg(short, long = "target", value_name = "GLOB", value_delimiter = ',', value_parser = trimmed, add = candidates::targets())]
    pub(super) targets: Vec<String>,
    /// Only targets with these labels, as kubectl selects: ring=1, site!=oslo, 'ring in (1,2)', ring or '!ring', several
    /// with commas between
    #[arg(long, value_name = "LABELS", value_parser = LabelSelector::parse, add = candidates::labels())]
    pub(super) selector: Option<LabelSelector>,
}

impl TargetArgs {
    /// What was asked for on the command line.
    pub(super) fn selection(&self) -> TargetSelection {
        TargetSelection {
            names: self.targets.clone(),
            labels: self.selector.clone().unwrap_or_default(),
        }
    }
}

/// Which entries, with what targets hold of them.
#[derive(Args, Debug, Default)]
pub(super) struct EntryArgs {
    /// Only what has this key; `*` means any characters, `?` any one. Several with commas between, or given
    /// several times
    #[arg(long = "key", value_name = "GLOB", value_delimiter = ',', value_parser = glob, add = candidates::keys())]
    keys: Vec<Glob>,
    /// Only what is of this integration, by its domain or its name in Home Assistant
    #[arg(long = "domain", value_name = "GLOB", value_delimiter = ',', value_parser = domain, add = candidates::domains())]
    domains: Vec<Glob>,
    /// Not what has this key
    #[arg(long = "exclude", value_name = "GLOB", value_delimiter = ',', value_parser = glob, add = candidates::keys())]
    excluded: Vec<Glob>,
    #[arg(skip)]
    may_be_nothing: bool,
}

impl EntryArgs {
    /// Those with these keys, if there are any.
    pub(super) fn of(keys: &[Key]) -> Self {
        let keys = keys.iter().filter_map(|key| Glob::new(key.as_str())).collect();
        Self { keys, may_be_nothing: true, ..Self::default() }
    }

    /// What was asked for on the command line.
    pub(super) fn selection(&self) -> Selection {
        Selection {
            keys: self.keys.clone(),
            domains: self.domains.clone(),
            excluded: self.excluded.clone(),
            may_be_nothing: self.may_be_nothing,
        }
    }
}

/// What a plan may do, where it is not as the project file says.
#[derive(Args, Debug, Default)]
pub(super) struct PolicyArgs {
    /// What may be deleted when no entry declares it
    #[arg(long, value_name = "WHAT")]
    prune: Option<PruneArg>,
    /// Stop if more than this many, or this many percent, would be deleted
    #[arg(long, value_name = "N|N%", value_parser = str::parse::<MaxDeletes>)]
    max_deletes: Option<MaxDeletes>,
    /// Delete even if no entry is left for a target, or if it seems to lose one by a slip in its name or labels
    #[arg(long)]
    allow_empty: bool,
    /// Delete or replace what has this key although it is protected; several after commas
    #[arg(long, value_name = "KEY", value_delimiter = ',', value_parser = super::add::key, add = candidates::keys())]
    allow_protected: Vec<Key>,
    /// Take over credentials made by hand that entries match
    #[arg(long)]
    adopt: bool,
    /// Leave integrations as they are: set none up
    #[arg(long)]
    no_setup: bool,
    /// Remove the linked accounts of what is deleted first
    #[arg(long)]
    remove_integrations: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PruneArg {
    /// What this owner has marked
    Managed,
    /// Nothing
    None,
    /// Also what was made by hand
    All,
}

impl PolicyArgs {
    /// What was asked for on the command line.
    pub(super) fn overrides(&self, entries: &EntryArgs) -> PolicyOverrides {
        PolicyOverrides {
            prune: self.prune.map(|prune| match prune {
                PruneArg::Managed => Prune::Managed,
                PruneArg::None => Prune::Nothing,
                PruneArg::All => Prune::All,
            }),
            max_deletes: self.max_deletes,
            allow_empty: self.allow_empty,
            adopt_all: self.adopt,
            leave_integrations: self.no_setup,
            remove_integrations: self.remove_integrations,
            allow_protected: self.allow_protected.clone(),
            selection: entries.selection(),
        }
    }
}

pub(super) fn glob(text: &str) -> Result<Glob, String> {
    Glob::new(text)
        .ok_or_else(|| "it is empty: give a name, or a pattern such as `spotify-*`".to_owned())
}

fn trimmed(name: &str) -> Result<String, Infallible> {
    Ok(name.trim().to_owned())
}

/// An integration by its domain or by its name in Home Assistant.
fn domain(text: &str) -> Result<Glob, String> {
    let given = glob(text)?;
    let is_known = integrations::known().iter().any(|known| given.matches(known.as_str()));
    match integrations::called(text)[..] {
        [only] if !is_known => glob(only.as_str()),
        _ => Ok(given),
    }
}
