//! `authorize`

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::callback::Loopback;
use crate::codes::ChangeCode;
use crate::lock::WriteLock;
use crate::model::{CALLBACK_PATH, EntryState, MY_REDIRECT_URI, PolicyOverrides, SetUpId};
use crate::plan::{Action, EntrySetup, SetupState, Step, StepId, Trouble, Withheld};
use crate::reconcile::{Verdicts, refused_set_ups};
use crate::report::changes::MadeChange;
use crate::report::notices;
use crate::target::home_assistant::HomeAssistant;
use crate::target::{LiveTarget, Stop};
use crate::workspace::{Comparison, OnError, TargetView, find_entry};

use super::account_linking::{AccountLinking, print};
use super::exit::ExitStatus;
use super::gather::{ask_about_troubles, gather_loaded, load};
use super::interrupt::stop_on_signal;
use super::links::LinkArgs;
use super::locks::write_locks;
use super::selection::{EntryArgs, TargetArgs};
use super::times::seconds;
use super::{ChangesArgs, Global, candidates, console};

/// Link the accounts that wait for consent, with the browser of this machine
///
/// For each entry whose integration is not linked yet, or needs consent again: starts the set-up in
/// Home Assistant, opens the provider's page, and waits until the account runs. The provider must know
/// the redirect URI that is shown, and is asked that first as far as its authorize endpoint is known. It is
/// Home Assistant's own, so the browser must reach Home Assistant; where it cannot, --port receives the
/// answer on this machine and passes it on.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred authorize
  appcred authorize spotify-family --no-browser
  appcred authorize spotify-family/Ann
  appcred authorize --domain 'google*'
  appcred authorize --port 28124 --timeout 60")]
pub(super) struct Authorize {
    /// Only these entries, by key, name or the id of their credential; behind a slash, only that account of
    /// those that the entry names
    #[arg(value_name = "KEY[/ACCOUNT]", add = candidates::keys())]
    named: Vec<String>,
    #[command(flatten)]
    selection: TargetArgs,
    #[command(flatten)]
    entries: EntryArgs,
    /// Receive the answer on this port of this machine, with a redirect URI of its own; no effect
    /// where Home Assistant has its `my` integration
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Open no browser here: print the link, for a browser elsewhere; where no terminal prints it, that
    /// takes --show-links too
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for each consent: seconds, or as in 5m
    #[arg(long, value_name = "TIME", default_value_t = 300, value_parser = seconds)]
    timeout: u64,
    #[command(flatten)]
    links: LinkArgs,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

pub(super) async fn run(
    global: &Global,
    mut verb: Authorize,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let loaded = load(global);
    let locks = write_locks(&loaded.project, &verb.selection.selection());
    let policy = PolicyOverrides { selection: verb.entries.selection(), ..Default::default() };
    let mut gathered =
        gather_loaded(global, loaded, &verb.selection.selection(), &policy, OnError::Stop).await?;
    ask_about_troubles(&mut gathered.targets).await;
    let Some(views) = gathered.targets else { return Ok(ExitStatus::Failure) };
    verb.find_entries(&views)?;
    let verb = verb;
    let mut loopback = match verb.port {
        Some(port) => Some(listen(port).await?),
        None => None,
    };
    let stop = Stop::new();
    let interrupted_twice = stop_on_signal(stop.clone())?;
    let work = async {
        let mut is_well = true;
        for view in &views {
            let Some(lock) = locks.get(&view.name) else { continue };
            is_well &= verb.view((view, lock), loopback.as_mut(), &stop, made).await;
        }
        is_well
    };
    let is_well = tokio::select! {
        is_well = work => is_well,
        () = interrupted_twice => bail!("interrupted twice: a set-up may be left open in Home Assistant; `appcred plan` shows it"),
    };
    if let Some(loopback) = loopback {
        loopback.close().await?;
    }
    let known = views.iter().filter_map(|view| view.comparison.as_ref().ok());
    let has_set_ups = known.map(|known| &known.plan).any(|plan| {
        let is_set_up = |step: &Step| matches!(step.action, Action::SetUp { .. });
        !plan.setup_states.is_empty() || plan.steps.iter().any(is_set_up)
    });
    if is_well && !has_set_ups {
        print("Nothing to link: no entry has an account that could be linked.\n");
    }
    Ok(if is_well { ExitStatus::Success } else { ExitStatus::Failure })
}

impl Authorize {
    /// Writes down each entry that is asked for by its key.
    fn find_entries(&mut self, views: &[TargetView]) -> anyhow::Result<()> {
        let entries = || views.iter().flat_map(|view| view.entries.values()).map(Arc::as_ref);
        for of in &mut self.named {
            let (name, account) = split(of);
            let key = find_entry(name, entries())?;
            let Some(account) = account else {
                *of = key.to_string();
                continue;
            };
            let of_key = entries().filter(|entry| entry.key.value == key);
            let mut names = of_key.flat_map(|entry| &entry.integration.accounts).peekable();
            if names.peek().is_none() {
                bail!("the entry `{key}` names no accounts: leave out `/` and what follows it");
            }
            if !names.any(|name| name.is_called(account)) {
                bail!("the entry `{key}` does not name the account `{account}`");
            }
            *of = format!("{key}/{account}");
        }
        Ok(())
    }

    /// What is asked for: keys, each with the account behind its slash.
    fn set_ups(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.named.iter().map(|of| split(of))
    }

    fn wants(&self, id: &SetUpId) -> bool {
        let is_it = |(key, account): (&str, Option<&str>)| {
            let is_account = |wanted| id.account.as_ref().is_some_and(|it| it.is_called(wanted));
            key == id.key.as_str() && account.is_none_or(is_account)
        };
        self.named.is_empty() || self.set_ups().any(is_it)
    }

    /// Whether all that was to be linked there is.
    async fn view(
        &self,
        (view, lock): (&TargetView, &WriteLock),
        mut loopback: Option<&mut Loopback>,
        stop: &Stop,
        made: &mut Vec<MadeChange>,
    ) -> bool {
        let name = &view.name;
        let comparison = match &view.comparison {
            Ok(comparison) => comparison,
            Err(why) => {
                console::error(format_args!("{name}: {why}"));
                return false;
            }
        };
        let Some(ha) = view.target.as_ref().and_then(LiveTarget::home_assistant) else {
            return self.is_well_in_folder(view);
        };
        let mut is_well = self.print_others(view, comparison);
        let asking = self.refused(comparison, ha, loopback.as_deref());
        let mut refused = stop.run_until_cancelled(asking).await.unwrap_or_default();
        for step in &comparison.plan.steps {
            let Action::SetUp { wanted, name: account, .. } = &step.action else { continue };
            let id = step.action.set_up_id();
            if stop.is_cancelled() || !id.is_some_and(|id| self.wants(&id)) {
                continue;
            }
            let Some(entry) = comparison.desired.credential(&wanted.key) else { continue };
            let title = format!("{name}: {}", step.action.summary());
            let ended = if let Some(why) = refused.remove(&step.id) {
                Err(why)
            } else if let Some(after) = step.after {
                Err(format!("{}: run `appcred apply` first", before(comparison, after)))
            } else {
                let linking = AccountLinking {
                    ha,
                    title: &title,
                    account: account.as_ref(),
                    lock,
                    timeout: self.timeout,
                    opens_browser: !self.no_browser,
                    links: self.links.printed(),
                };
                let loopback = loopback.as_deref_mut();
                linking.run_until_loaded(comparison, step, entry, loopback, stop).await
            };
            match ended {
                Ok(account) => {
                    let change = MadeChange::new(ChangeCode::AccountLinked);
                    made.push(change.key(&wanted.key).target(name));
                    let account = account.map(|of| format!(": {}", notices::account(&of)));
                    print(&format!("{title}: linked{}\n", account.unwrap_or_default()));
                }
                Err(why) => {
                    is_well = false;
                    print_failure(&title, &why);
                }
            }
        }
        is_well && !stop.is_cancelled()
    }

    /// Says that no accounts are linked there. Answers whether none was asked for.
    fn is_well_in_folder(&self, view: &TargetView) -> bool {
        let why = format!("{}: accounts cannot be linked in a configuration folder", view.name);
        let is_well = self.named.is_empty();
        if is_well {
            console::message(why)
        } else {
            console::error(why)
        }
        is_well
    }

    /// The set-ups for which no browser need be opened, since the provider would refuse them.
    async fn refused(
        &self,
        comparison: &Comparison,
        ha: &HomeAssistant,
        loopback: Option<&Loopback>,
    ) -> BTreeMap<StepId, String> {
        let Comparison { plan, desired, observed, .. } = comparison;
        let is_next = |step: &&Step| {
            step.after.is_none() && step.action.set_up_id().is_some_and(|id| self.wants(&id))
        };
        let back = match loopback {
            Some(here) if ha.redirect_uri() != MY_REDIRECT_URI => {
                format!("{}{CALLBACK_PATH}", here.origin())
            }
            _ => ha.redirect_uri(),
        };
        let (steps, mut known) = (plan.steps.iter().filter(is_next), Verdicts::default());
        let refused = refused_set_ups(steps, desired, observed, Some(&back), &mut known);
        refused.await.into_iter().collect()
    }

    /// Prints why nothing is linked for an entry. Answers whether all that was asked for by name runs.
    fn print_others(&self, view: &TargetView, comparison: &Comparison) -> bool {
        let (plan, mut is_well) = (&comparison.plan, true);
        for EntrySetup { id, state, trouble } in &plan.setup_states {
            let is_of_it = |action: &Action| {
                matches!(action, Action::SetUp { .. }) && action.set_up_id().as_ref() == Some(id)
            };
            let is_pending = plan.steps.iter().any(|step| is_of_it(&step.action));
            if is_pending || !self.wants(id) {
                continue;
            }
            let withheld = plan.withheld.iter().find(|withheld| is_of_it(&withheld.action));
            let why = match (withheld, trouble, state) {
                (Some(Withheld { why, .. }), ..) => {
                    format!("is not linked: {why}; {}", why.help())
                }
                (_, Some(trouble), _) => {
                    let why = not_running(comparison, id, trouble);
                    if !self.named.is_empty() {
                        is_well = false;
                        console::note_failure(format_args!("{}: {id} {why}", view.name));
                    }
                    why
                }
                (_, None, SetupState::Linked(accounts) | SetupState::Cloud(accounts)) => {
                    let accounts: Vec<String> = accounts.iter().map(notices::account).collect();
                    format!("is linked already: {}", accounts.join("; "))
                }
                (_, None, SetupState::NotWanted) => "says `setup: false`".to_owned(),
                _ => "has no credential there yet: run `appcred apply` first".to_owned(),
            };
            print(&format!("{}: {id} {why}\n", view.name));
        }
        is_well
    }
}

fn print_failure(title: &str, why: &str) {
    console::note_failure(format_args!("{title}: {why}"));
    print(&format!("{title}: failed: {why}\n"));
}

/// What is to be known of an account that does not run and that is not linked again now.
fn not_running(comparison: &Comparison, id: &SetUpId, trouble: &Trouble) -> String {
    let (account, seen) = (notices::account(&trouble.account), trouble.seen());
    let does = match trouble.account.state {
        EntryState::Loaded => "",
        _ => " and does not run",
    };
    let entry = comparison.desired.credential(&id.key);
    let help = match entry.is_some_and(|entry| !entry.integration.setup) && trouble.asks_again {
        true => "the entry says `setup: false`: link it again in Home Assistant".to_owned(),
        false => trouble.help(id),
    };
    format!("is linked ({account}){does}: {seen}; {help}")
}

/// What is before the first slash, and what is behind it.
fn split(of: &str) -> (&str, Option<&str>) {
    of.split_once('/').map_or((of, None), |(key, account)| (key, Some(account)))
}

async fn listen(port: u16) -> anyhow::Result<Loopback> {
    match Loopback::listen(port, CALLBACK_PATH).await {
        Err(taken) if taken.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} of this machine is taken: stop the program that uses it, or choose another with --port and register that redirect URI with the provider"
        ),
        other => other.with_context(|| format!("cannot listen on port {port}")),
    }
}

/// What keeps a set-up from its credential: the step that comes before it.
fn before(comparison: &Comparison, step: StepId) -> &'static str {
    let is_missing = comparison
        .plan
        .steps
        .iter()
        .any(|earlier| earlier.id == step && matches!(earlier.action, Action::Create { .. }));
    if is_missing {
        "its credential is not there yet"
    } else {
        "its credential differs from the entry"
    }
}
