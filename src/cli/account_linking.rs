//! Links one account with the browser of this machine.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::callback::Loopback;
use crate::lock::WriteLock;
use crate::model::{
    AccountName, ConfigEntry, ConsentLink, DesiredCredential, FlowStep, HiddenLink, Links,
    MY_REDIRECT_URI, SetUpId, Visible,
};
use crate::plan::Step;
use crate::reconcile::{LinkSettings, Linking, NotLinked, Turn};
use crate::report::set_up;
use crate::setup::redirect_uri;
use crate::target::Stop;
use crate::target::home_assistant::HomeAssistant;
use crate::workspace::Comparison;

use super::console;
use super::locks::lock_target;

/// One account that is being linked.
pub(super) struct AccountLinking<'a> {
    pub(super) ha: &'a HomeAssistant,
    pub(super) title: &'a str,
    /// The account to log in with, where the entry names its accounts.
    pub(super) account: Option<&'a AccountName>,
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
    ) -> Result<Option<ConfigEntry>, String> {
        let mark = comparison.desired.mark(&entry.key);
        let base = loopback.as_deref().map_or(self.ha.frontend_base(), Loopback::origin).to_owned();
        let settings = LinkSettings {
            ha: self.ha,
            lock: async || lock_target(self.lock).await,
            base: &base,
            timeout: Duration::from_secs(self.timeout),
            stop,
        };
        let message = |why: NotLinked| why.to_string();
        let of = (entry, &comparison.desired.previous_owners);
        let linking = Linking::begin(settings, &step.action, of, &mark).await;
        let mut linking = linking.map_err(message)?;
        let mut spinner = ProgressBar::hidden();
        loop {
            let line = match linking.next(loopback.as_deref_mut()).await.map_err(message)? {
                Turn::Linked(account) => return Ok(account),
                Turn::Show(shown) => {
                    // Nothing is printed beside a spinner.
                    drop(std::mem::replace(&mut spinner, ProgressBar::hidden()));
                    self.show(&shown, entry, loopback.as_deref())?;
                    spinner = new_spinner(self.title);
                    continue;
                }
                Turn::Forged => "an answer with a wrong state was refused".to_owned(),
                Turn::NotNow(why) => format!("Home Assistant cannot accept the answer now ({why})"),
            };
            spinner.suspend(|| print(&format!("  {line}; still waiting\n")));
        }
    }

    /// Shows what a person needs, and opens their browser.
    fn show(
        &self,
        shown: &FlowStep,
        entry: &DesiredCredential,
        loopback: Option<&Loopback>,
    ) -> Result<(), String> {
        let Self { opens_browser, links, .. } = *self;
        let link = match shown {
            FlowStep::Consent(link) => link,
            FlowStep::Progress(Some(_)) if links == Links::Hidden => {
                return Err("its code is not shown here, since whoever reads it first could use it: pass --show-links".to_owned());
            }
            FlowStep::Progress(Some(code)) => {
                let (title, log_in) = (self.title, self.log_in_help());
                print(&format!("{title}\n{log_in}  open {} and type in {}\n", code.url, code.code));
                return Ok(());
            }
            FlowStep::Progress(None) => return Ok(()),
            other => {
                self.show_questions(other, entry);
                return Err(
                    "add these answers to the entry, and run `appcred authorize` again".to_owned()
                );
            }
        };
        let Some(page) = link.page() else {
            return Err("its link is not an https address, so it is not opened: finish the set-up in Home Assistant".to_owned());
        };
        let (log_in, redirect) = (self.log_in_help(), self.redirect_help(link, loopback));
        print(&format!("{}\n{log_in}{redirect}", self.title));
        let is_shown = match link.shown(links) {
            Ok(url) => {
                print_link(url, opens_browser);
                true
            }
            Err(HiddenLink::HoldsSecret) if opens_browser => {
                print("  the link contains the client secret, so it is not shown\n");
                false
            }
            Err(HiddenLink::HoldsSecret) => {
                return Err("its link contains the client secret and cannot be shown: it needs the browser of this machine, so leave out --no-browser".to_owned());
            }
            Err(_) if opens_browser => {
                print("  the link is not shown; --show-links shows it\n");
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
            // What the error says has the link in it.
            Some(Err(_)) => {
                return Err("no browser could be opened here: pass --no-browser, and --show-links where no terminal prints the link".to_owned());
            }
            Some(Ok(())) | None => {}
        }
        Ok(())
    }

    /// What is asked that the entry does not answer.
    fn show_questions(&self, step: &FlowStep, entry: &DesiredCredential) {
        let (mut out, mut uris) = (String::new(), BTreeSet::new());
        let id = SetUpId { key: entry.key.clone(), account: self.account.cloned() };
        set_up::waits(&mut out, self.title, Some(&id), step, Links::Shown, &mut uris);
        print(&out);
    }

    /// Whose consent is wanted.
    fn log_in_help(&self) -> String {
        self.account
            .map(|account| format!("  log in at the provider as {account}\n"))
            .unwrap_or_default()
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

/// Printed as it happens, since a person waits for it.
pub(super) fn print(text: &str) {
    // Where it cannot be written, the exit status still says how it ended.
    drop(console::say(text));
}

/// Whole where it is to be followed elsewhere.
fn print_link(url: &str, opens_browser: bool) {
    let line = format!("  {url}\n");
    drop(if opens_browser { console::say(&line) } else { console::say_whole(&line) });
}

/// It is cleared when it is dropped.
fn new_spinner(title: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::with_draw_target(None, target)
        .with_style(style)
        .with_finish(ProgressFinish::AndClear);
    spinner.set_message(format!("{}: waiting for consent", title.visible()));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
