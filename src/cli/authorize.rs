//! `authorize`

use std::io::{ErrorKind, IsTerminal};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::callback::{CALLBACK, Loopback};
use crate::model::{
    ConsentLink, DesiredCredential, FlowId, FlowStep, HandOverError, HiddenLink, Links,
    PolicyOverrides,
};
use crate::plan::{Action, SetupState, Step};
use crate::reconcile::{LATER, task};
use crate::report::set_up;
use crate::setup::consent::{Wait, wait};
use crate::setup::drive::{self, FlowState, SetUpTask};
use crate::setup::redirect_uri;
use crate::target::home_assistant::HomeAssistant;
use crate::target::{LiveTarget, Refusal, Stop};

use crate::workspace::{Comparison, TargetView};

use super::exit::ExitStatus;
use super::gather::gather;
use super::links::LinkArgs;
use super::selection::TargetArgs;
use super::{Global, console};

/// Where the redirect arrives by default: always the same, since providers require it to be
/// know it beforehand.
const PORT: u16 = 28_124;

const LOST: &str = "the connection to Home Assistant was lost; if it was restarted, the set-up is lost: start again when it is back";

/// Link the accounts that wait for consent, with the browser of this machine
///
/// For each entry whose integration is not linked yet, or needs consent again: starts the set-up in
/// Home Assistant, opens the provider's page, takes the answer on a port of this machine, hands it
/// on, and waits until the account runs. Home Assistant itself need not be reachable by the browser.
/// The provider must know the redirect URI that is shown.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred authorize
  appcred authorize spotify-family --no-browser
  appcred authorize --port 8976 --timeout 60")]
pub(super) struct Authorize {
    /// Only the entries with these keys
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    selection: TargetArgs,
    /// The port of this machine where the redirect arrives
    #[arg(long, value_name = "PORT", default_value_t = PORT)]
    port: u16,
    /// Open no browser: the link is for one elsewhere, whose way to the port leads here
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for each consent
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    #[command(flatten)]
    links: LinkArgs,
}

pub(super) async fn run(global: &Global, verb: &Authorize) -> anyhow::Result<ExitStatus> {
    let gathered = gather(global, &verb.selection, &PolicyOverrides::default()).await?;
    let Some(views) = gathered.targets else { return Ok(ExitStatus::Failure) };
    verb.check_keys(&views)?;
    let mut loopback = verb.listen().await?;
    let stop = Stop::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    let mut is_well = true;
    for view in &views {
        is_well &= verb.view(view, &mut loopback, &stop).await;
    }
    loopback.close().await?;
    Ok(if is_well { ExitStatus::Success } else { ExitStatus::Failure })
}

impl Authorize {
    fn check_keys(&self, views: &[TargetView]) -> anyhow::Result<()> {
        let comparison = || views.iter().filter_map(|view| view.comparison.as_ref().ok());
        if comparison().next().is_none() {
            return Ok(());
        }
        for key in &self.keys {
            let mut all = comparison().flat_map(|comparison| &comparison.desired.credentials);
            if !all.any(|entry| entry.key.as_str() == key) {
                bail!("there is no entry with the key `{key}`");
            }
        }
        Ok(())
    }

    async fn listen(&self) -> anyhow::Result<Loopback> {
        match Loopback::listen(self.port, CALLBACK).await {
            Err(taken) if taken.kind() == ErrorKind::AddrInUse => bail!(
                "port {} of this machine is taken: stop the program that uses it, or choose another with --port and register that redirect URI with the provider",
                self.port
            ),
            other => other.with_context(|| format!("cannot listen on port {}", self.port)),
        }
    }

    fn wants(&self, key: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|wanted| wanted == key)
    }

    /// Whether all that was to be linked there is.
    async fn view(&self, view: &TargetView, loopback: &mut Loopback, stop: &Stop) -> bool {
        let name = &view.name;
        let comparison = match &view.comparison {
            Ok(comparison) => comparison,
            Err(why) => {
                console::message(format_args!("{name}: {why}"));
                return false;
            }
        };
        let Some(ha) = view.target.as_ref().and_then(LiveTarget::home_assistant) else {
            console::message(format_args!(
                "{name}: accounts cannot be linked in a configuration folder"
            ));
            return self.keys.is_empty();
        };
        self.print_others(view, comparison);
        let mut is_well = true;
        for step in &comparison.plan.steps {
            let Action::SetUp { wanted, open, .. } = &step.action else { continue };
            if stop.is_cancelled() || !self.wants(wanted.key.as_str()) {
                continue;
            }
            let found = comparison.desired.credentials.iter().find(|entry| entry.key == wanted.key);
            let Some(entry) = found else { continue };
            let title = format!("{name}: {}", step.action.summary());
            let ended = if step.after.is_some() {
                Err("its credential differs from the entry: run `appcred apply` first".to_owned())
            } else {
                let linking = AccountLinking { verb: self, ha, title: &title, open: open.as_ref() };
                linking.run_until_loaded(comparison, step, entry, loopback, stop).await
            };
            match ended {
                Ok(()) => print(&format!("{title}: loaded\n")),
                Err(why) => {
                    is_well = false;
                    print(&format!("{title}: failed: {why}\n"));
                }
            }
        }
        is_well && !stop.is_cancelled()
    }

    /// Prints why an entry is not linked, where it was asked for by name or nothing else is left.
    fn print_others(&self, view: &TargetView, comparison: &Comparison) {
        for (key, setup_state) in &comparison.plan.setup_states {
            let is_pending = comparison.plan.steps.iter().any(
                |step| matches!(&step.action, Action::SetUp { wanted, .. } if wanted.key == *key),
            );
            if is_pending || !self.wants(key.as_str()) {
                continue;
            }
            let why = match setup_state {
                SetupState::Linked(_) | SetupState::Cloud(_) => "is linked already",
                SetupState::NotWanted => "says `setup: false`",
                _ => "has no credential there yet: run `appcred apply` first",
            };
            print(&format!("{}: {key} {why}\n", view.name));
        }
    }
}

/// One account that is being linked.
struct AccountLinking<'a> {
    verb: &'a Authorize,
    ha: &'a HomeAssistant,
    title: &'a str,
    open: Option<&'a FlowId>,
}

impl AccountLinking<'_> {
    async fn run_until_loaded(
        &self,
        comparison: &Comparison,
        step: &Step,
        entry: &DesiredCredential,
        loopback: &mut Loopback,
        stop: &Stop,
    ) -> Result<(), String> {
        let mark = comparison.desired.mark(&entry.key);
        let Some(task) = task(&step.action, entry, &mark) else { return Ok(()) };
        // An event that HA sends before we subscribe would be lost.
        let mut events = self.ha.flow_events().await.map_err(message)?;
        let base = loopback.origin().to_owned();
        let mut state = drive::begin(self.ha, &task, self.open, &base).await.map_err(message)?;
        let mut last = None;
        let until = Instant::now() + Duration::from_secs(self.verb.timeout);
        loop {
            let (flow, shown) = match state {
                FlowState::Linked => return Ok(()),
                FlowState::Failed(why) => return Err(why),
                FlowState::Later => return Err(LATER.to_owned()),
                FlowState::Waits(flow, shown) => (flow, shown),
            };
            if !matches!(shown, FlowStep::Consent(_) | FlowStep::Progress(_)) {
                let mut out = String::new();
                set_up::waits(&mut out, self.title, Some(&entry.key), &shown, Links::Shown);
                print(&out);
                return Err("it goes on when the entry answers".to_owned());
            }
            if last.as_ref() != Some(&shown) {
                self.show(&shown, loopback)?;
            }
            last = Some(shown.clone());
            let spinner = spinner(self.title);
            let mut forged = || {
                spinner.suspend(|| {
                    print("  an answer with a wrong state was refused; still waiting\n");
                });
            };
            let ended = wait(&flow, &shown, loopback, &mut events, until, stop, &mut forged).await;
            let now = self.carry_on(&task, flow, shown, ended, &base).await;
            spinner.finish_and_clear();
            state = now?;
        }
    }

    async fn carry_on(
        &self,
        task: &SetUpTask<'_>,
        flow: FlowId,
        shown: FlowStep,
        ended: Wait,
        base: &str,
    ) -> Result<FlowState, String> {
        match ended {
            Wait::Answered(delivery) => {
                let taken = self.ha.hand_on(&delivery.query).await;
                delivery.taken(taken.clone());
                match taken {
                    Ok(()) => drive::follow(self.ha, task, &flow, base).await.map_err(message),
                    Err(HandOverError::Refused(why)) => {
                        drive::give_up(self.ha, task, &flow).await.map_err(message)?;
                        Err(format!("Home Assistant refused the answer: {why}"))
                    }
                    Err(HandOverError::NotNow(why)) => {
                        print(&format!(
                            "  Home Assistant cannot accept the answer now ({why}); still waiting\n"
                        ));
                        // Whoever cannot be asked either is waited for as well, until the time is up.
                        let now = drive::follow(self.ha, task, &flow, base).await;
                        Ok(now.unwrap_or(FlowState::Waits(flow, shown)))
                    }
                }
            }
            Wait::MovedOn => drive::follow(self.ha, task, &flow, base).await.map_err(message),
            Wait::Lost => Err(LOST.to_owned()),
            Wait::TimedOut => {
                drive::give_up(self.ha, task, &flow).await.map_err(message)?;
                Err(format!(
                    "no consent within {} s; the link is no longer valid",
                    self.verb.timeout
                ))
            }
            Wait::Stopped => {
                drive::give_up(self.ha, task, &flow).await.map_err(message)?;
                Err("interrupted; the link is no longer valid".to_owned())
            }
        }
    }

    /// Shows what a person needs, and opens their browser.
    fn show(&self, shown: &FlowStep, listener: &Loopback) -> Result<(), String> {
        let opens_browser = !self.verb.no_browser;
        let links = self.verb.links.to_follow(opens_browser);
        let link = match shown {
            FlowStep::Consent(link) => link,
            FlowStep::Progress(Some(_)) if links == Links::Hidden => {
                return Err("its code is not shown here, since whoever reads it first could use it: pass --show-links".to_owned());
            }
            FlowStep::Progress(Some(code)) => {
                print(&format!("{}\n  open {} and type in {}\n", self.title, code.url, code.code));
                return Ok(());
            }
            _ => return Ok(()),
        };
        let Some(page) = link.page() else {
            return Err("its link is not an https address, so it is not opened: finish the set-up in Home Assistant".to_owned());
        };
        print(&format!("{}\n{}", self.title, self.redirect_help(link, listener)));
        let is_shown = match link.shown(links) {
            Ok(url) => {
                print(&format!("  {url}\n"));
                true
            }
            Err(HiddenLink::HoldsSecret) if opens_browser => {
                print("  the link contains the client secret, so it is opened and not shown\n");
                false
            }
            Err(HiddenLink::HoldsSecret) => {
                return Err("its link contains the client secret and cannot be shown: it needs the browser of this machine, so leave out --no-browser".to_owned());
            }
            Err(_) if opens_browser => {
                print("  the link is opened and not shown; --show-links shows it\n");
                false
            }
            Err(_) => {
                return Err("its link is not shown in CI, since whoever reads the log first could use it: pass --show-links".to_owned());
            }
        };
        match opens_browser.then(|| open::that_detached(page.as_str())) {
            Some(Err(_)) if is_shown => {
                print("  no browser could be opened here: follow the link yourself\n");
            }
            Some(Err(why)) => {
                return Err(format!("no browser could be opened here ({why}): pass --no-browser"));
            }
            Some(Ok(())) | None => {}
        }
        Ok(())
    }

    /// What the provider must know, and where the browser goes on its way back.
    fn redirect_help(&self, link: &ConsentLink, listener: &Loopback) -> String {
        let Some(uri) = redirect_uri(link) else { return String::new() };
        let mut help = format!("  the redirect URI {uri} must be registered with the provider\n");
        if uri != listener.redirect_uri() {
            let base = self.ha.frontend_base();
            help += &format!(
                "  Home Assistant fixes that by its `my` integration, so the browser comes back through My Home Assistant:\n  if that does not find your house, set {base} at https://my.home-assistant.io/redirect/_change_url/\n"
            );
        }
        help
    }
}

fn message(refusal: Refusal) -> String {
    refusal.to_string()
}

/// Printed as it happens, since a person waits for it.
fn print(text: &str) {
    // Where it cannot be written, the exit status still says how it ended.
    drop(console::print(text));
}

fn spinner(title: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::with_draw_target(None, target).with_style(style);
    spinner.set_message(format!("{title}: waiting for consent"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
