//! Links one account with the browser of this machine.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::callback::Loopback;
use crate::lock::{HeldLock, WriteLock};
use crate::model::{
    ConsentLink, DesiredCredential, FlowId, FlowStep, HandOverError, HiddenLink, Links,
    MY_REDIRECT_URI, Visible,
};
use crate::plan::Step;
use crate::reconcile::{Begun, CANNOT_ASK_YET, begin, task};
use crate::report::set_up;
use crate::setup::consent::{Wait, wait};
use crate::setup::drive::{self, FlowState, SetUpTask};
use crate::setup::redirect_uri;
use crate::target::home_assistant::HomeAssistant;
use crate::target::{Refusal, Stop};
use crate::workspace::Comparison;

use super::console;
use super::locks::lock_target;

const LOST: &str = "the connection to Home Assistant was lost; if it was restarted, the set-up is lost: start again when it is back";

/// One account that is being linked.
pub(super) struct AccountLinking<'a> {
    pub(super) ha: &'a HomeAssistant,
    pub(super) title: &'a str,
    /// Held while the flow is started or carried on, and not while a person is waited for.
    pub(super) lock: &'a WriteLock,
    /// How many seconds to wait for the consent.
    pub(super) timeout: u64,
    pub(super) opens_browser: bool,
    /// Whether the link may be shown to whoever is to follow it.
    pub(super) links: Links,
}

impl AccountLinking<'_> {
    pub(super) async fn run_until_loaded(
        &self,
        comparison: &Comparison,
        step: &Step,
        entry: &DesiredCredential,
        mut loopback: Option<&mut Loopback>,
        stop: &Stop,
    ) -> Result<(), String> {
        let mark = comparison.desired.mark(&entry.key);
        let Some(task) = task(&step.action, entry, &mark) else { return Ok(()) };
        // An event that HA sends before we subscribe would be lost.
        let mut events = self.ha.flow_events().await.map_err(message)?;
        let base = loopback.as_deref().map_or(self.ha.frontend_base(), Loopback::origin).to_owned();
        let mut state = self.begin(&task, step, entry, &base, stop).await?;
        let mut last = None;
        let until = Instant::now() + Duration::from_secs(self.timeout);
        loop {
            let (flow, shown) = match state {
                FlowState::Linked => return Ok(()),
                FlowState::Failed(why) => return Err(why),
                FlowState::CannotAskYet => return Err(CANNOT_ASK_YET.to_owned()),
                FlowState::Waits(flow, shown) => (flow, shown),
            };
            if !matches!(shown, FlowStep::Consent(_) | FlowStep::Progress(_)) {
                let mut out = String::new();
                set_up::waits(&mut out, self.title, Some(&entry.key), &shown, Links::Shown);
                print(&out);
                return Err(
                    "add these answers to the entry, and run `appcred authorize` again".to_owned()
                );
            }
            if last.as_ref() != Some(&shown) {
                self.show(&shown, loopback.as_deref())?;
            }
            last = Some(shown.clone());
            let spinner = spinner(self.title);
            let mut forged = || {
                spinner.suspend(|| {
                    print("  an answer with a wrong state was refused; still waiting\n");
                });
            };
            let loopback = loopback.as_deref_mut();
            let ended = wait(&flow, &shown, loopback, &mut events, until, stop, &mut forged).await;
            let now = self.carry_on(&task, flow, shown, ended, &base, stop).await;
            spinner.finish_and_clear();
            state = now?;
        }
    }

    async fn lock(&self, stop: &Stop) -> Result<HeldLock, String> {
        tokio::select! {
            locked = lock_target(self.lock) => locked.map_err(|why| why.to_string()),
            () = stop.cancelled() => Err("interrupted".to_owned()),
        }
    }

    /// What was planned may be done by now: a watcher may have been there first.
    async fn begin(
        &self,
        task: &SetUpTask<'_>,
        step: &Step,
        entry: &DesiredCredential,
        base: &str,
        stop: &Stop,
    ) -> Result<FlowState, String> {
        let _writing = self.lock(stop).await?;
        let now = self.ha.observed().await.map_err(message)?;
        match begin(self.ha, task, &step.action, entry, Some(&now), base, stop).await {
            Ok(Begun::Before(account)) => Ok(drive::state_of_linked(&account.state)),
            Ok(Begun::Now(state)) => Ok(state),
            Err(refusal) => Err(message(refusal)),
        }
    }

    async fn follow(
        &self,
        task: &SetUpTask<'_>,
        flow: &FlowId,
        base: &str,
        stop: &Stop,
    ) -> Result<FlowState, String> {
        let _writing = self.lock(stop).await?;
        drive::follow(self.ha, task, flow, base, stop).await.map_err(message)
    }

    async fn carry_on(
        &self,
        task: &SetUpTask<'_>,
        flow: FlowId,
        shown: FlowStep,
        ended: Wait,
        base: &str,
        stop: &Stop,
    ) -> Result<FlowState, String> {
        match ended {
            Wait::Answered(delivery) => {
                let taken = self.ha.hand_over(&delivery.query).await;
                delivery.taken(taken.clone());
                match taken {
                    Ok(()) => self.follow(task, &flow, base, stop).await,
                    Err(HandOverError::Refused(why)) => {
                        drive::give_up(self.ha, &flow).await.map_err(message)?;
                        Err(format!("Home Assistant refused the answer: {why}"))
                    }
                    Err(HandOverError::NotNow(why)) => {
                        print(&format!(
                            "  Home Assistant cannot accept the answer now ({why}); still waiting\n"
                        ));
                        // Whoever cannot be asked either is waited for as well, until the time is up.
                        let now = self.follow(task, &flow, base, stop).await;
                        Ok(now.unwrap_or(FlowState::Waits(flow, shown)))
                    }
                }
            }
            Wait::MovedOn => self.follow(task, &flow, base, stop).await,
            Wait::Lost => Err(LOST.to_owned()),
            Wait::TimedOut => {
                drive::give_up(self.ha, &flow).await.map_err(message)?;
                Err(format!("no consent within {} s; the link is no longer valid", self.timeout))
            }
            Wait::Stopped => {
                drive::give_up(self.ha, &flow).await.map_err(message)?;
                Err("interrupted; the link is no longer valid".to_owned())
            }
        }
    }

    /// Shows what a person needs, and opens their browser.
    fn show(&self, shown: &FlowStep, loopback: Option<&Loopback>) -> Result<(), String> {
        let Self { opens_browser, links, .. } = *self;
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
        print(&format!("{}\n{}", self.title, self.redirect_help(link, loopback)));
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
                return Err("its link is shown on a terminal only, and not in CI, since whoever reads it first could use it: pass --show-links".to_owned());
            }
        };
        match opens_browser.then(|| open::that_detached(page.as_str())) {
            Some(Err(_)) if is_shown => {
                print("  no browser could be opened here: follow the link yourself\n");
            }
            Some(Err(why)) => {
                return Err(format!(
                    "no browser could be opened here ({why}): pass --no-browser, and --show-links where no terminal prints the link"
                ));
            }
            Some(Ok(())) | None => {}
        }
        Ok(())
    }

    /// What the provider must know, and where the browser goes on its way back.
    fn redirect_help(&self, link: &ConsentLink, loopback: Option<&Loopback>) -> String {
        let Some(uri) = redirect_uri(link) else { return String::new() };
        let mut help = format!("  the redirect URI {uri} must be registered with the provider\n");
        let base = self.ha.frontend_base();
        if uri == MY_REDIRECT_URI {
            help += &format!(
                "  Home Assistant fixes that by its `my` integration, so the browser comes back through My Home Assistant:\n  if that does not find your Home Assistant, set {base} at https://my.home-assistant.io/redirect/_change_url/\n"
            );
        } else if loopback.is_none() {
            help += &format!("  the browser must reach {base}; where it cannot, pass --port\n");
        }
        help
    }
}

fn message(refusal: Refusal) -> String {
    refusal.to_string()
}

/// Printed as it happens, since a person waits for it.
pub(super) fn print(text: &str) {
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
    spinner.set_message(format!("{}: waiting for consent", title.visible()));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
