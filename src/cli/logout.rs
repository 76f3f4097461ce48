//! `logout`

use anyhow::{Context, bail};

use crate::codes::ChangeCode;
use crate::report::changes::MadeChange;
use crate::target::home_assistant;
use crate::workspace::{SelectionError, one_home_assistant};

use super::exit::ExitStatus;
use super::gather::{project, resolver};
use super::{ChangesArgs, Global, candidates, console, environment};

/// End the session that `login` opened
///
/// Home Assistant revokes it, so that no copy of it can be used, and then it is removed here.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred logout
  appcred logout cabin --force   # also where Home Assistant does not answer")]
pub(super) struct Logout {
    /// The target; needed where there are several
    #[arg(value_name = "TARGET", add = candidates::targets())]
    target: Option<String>,
    /// Remove what is kept here even if Home Assistant cannot be informed
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

pub(super) async fn run(
    global: &Global,
    verb: &Logout,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let Some(project) = project(global) else { return Ok(ExitStatus::Failure) };
    let environment = environment::read();
    let target = one_home_assistant(&project, &environment, verb.target.as_deref());
    if matches!(target, Err(SelectionError::NotHomeAssistant)) {
        console::say("Nothing to sign out of: a configuration folder has no session.\n")?;
        return Ok(ExitStatus::Success);
    }
    let (name, endpoint) = target?;
    let (resolver, _) = resolver(global, &project);
    let url = home_assistant::canonical(&endpoint.url)?;
    let network = endpoint.network.read(&resolver)?;
    let Some(store) = environment.sessions() else {
        bail!("the home folder, where sessions are kept, is not known")
    };
    let _lock = store.lock()?;
    let ended = match store.load(&url, &resolver) {
        Ok(Some(session)) => session.revoke(&network).await.map_err(anyhow::Error::from),
        Ok(None) => {
            console::say(&format!(
                "Nothing to sign out of: no session of {name} ({url}) is kept here.\n"
            ))?;
            return Ok(ExitStatus::Success);
        }
        Err(why) => Err(why.into()),
    };
    match ended {
        Err(why) if verb.force => console::warning(format_args!(
            "Home Assistant was not informed: {why:#}; \
             end the session in your profile there, under Security"
        )),
        ended => {
            ended.context("the session is not ended (--force removes what is kept of it here)")?
        }
    }
    store.forget(&url)?;
    made.push(MadeChange::new(ChangeCode::SignedOut).target(&name));
    console::say(&format!("Signed out of {name} ({url}).\n"))?;
    Ok(ExitStatus::Success)
}
