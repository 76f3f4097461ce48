//! `login`

use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::connect::{AuthMethod, HomeAssistantEndpoint};
use crate::loopback::{Loopback, Query, Sentence, query};
use crate::secret::SecretResolver;
use crate::session::Store;
use crate::target::home_assistant::{self, Session, Settings, SignIn};
use crate::workspace::one_home_assistant;

use super::exit::ExitStatus;
use super::gather::{project, vault};
use super::{Global, console, environment};

/// How long a person may take to sign in.
const PATIENCE: Duration = Duration::from_secs(600);

/// Sign in to a running Home Assistant in the browser, instead of making a token by hand
///
/// Opens Home Assistant's own sign-in, and takes the browser back on a port of this machine. What
/// comes of it is kept in $XDG_STATE_HOME/appcred/sessions (~/.local/state), encrypted to the age
/// identities at hand, renewed by itself, and used wherever a target names no token.
///
/// Where the browser is on another machine, it ends on a page that it cannot reach: paste the address
/// of that page here.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred login
  appcred login cabin --no-browser
  HASS_SERVER=http://homeassistant.local:8123 appcred login")]
pub(super) struct Login {
    /// The target; needed where there are several
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Print the link and open nothing
    #[arg(long)]
    no_browser: bool,
    /// The port of this machine to which the browser comes back; default: any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
}

pub(super) async fn run(global: &Global, verb: &Login) -> anyhow::Result<ExitStatus> {
    let Some(project) = project(global) else { return Ok(ExitStatus::Failure) };
    let environment = environment::read();
    let (name, endpoint) = one_home_assistant(&project, &environment, verb.target.as_deref())?;
    let (vault, problems) = vault(global, &project);
    for problem in problems {
        console::tell(&format!("warning: {problem}\n"));
    }
    let Some(store) = environment.sessions().filter(|_| !vault.recipients().is_empty()) else {
        bail!(
            "there is no age identity to encrypt the session to: make one by \
             `appcred keygen`, or name yours under `age: identities:` in appcred.yaml"
        );
    };
    let Some(session) = sign_in(&endpoint, verb).await? else { return Ok(ExitStatus::Failure) };
    let file = keep(&session, &store, &vault, &endpoint).await?;
    console::print(&format!(
        "Signed in to {name} ({}). The session is kept in {}.\n",
        session.url,
        file.display()
    ))?;
    if !matches!(endpoint.auth, AuthMethod::Session) {
        console::tell(&format!(
            "warning: {name} has a token of its own, which goes before the session\n"
        ));
    }
    Ok(ExitStatus::Success)
}

/// Lets a person sign in; `None` where nobody came back, which has been told.
async fn sign_in(
    endpoint: &HomeAssistantEndpoint,
    verb: &Login,
) -> anyhow::Result<Option<Session>> {
    let listener = Loopback::listen(verb.port).await.with_context(|| {
        format!("cannot listen on port {} of this machine; choose another by --port", verb.port)
    })?;
    let sign_in = SignIn::new(&endpoint.url, &endpoint.network, &listener.origin())?;
    sign_in.look().await?;
    let link = sign_in.link().as_str();
    console::tell(&format!("Sign in here:\n\n  {link}\n\n"));
    if !verb.no_browser && open::that_detached(link).is_err() {
        console::tell("No browser could be opened: open the link yourself.\n");
    }
    console::tell(
        "Waiting for the browser to come back. If it cannot, paste the address of the page where it ends:\n",
    );
    let come_back = listener.receive(SignIn::RETURN, |query| code(query, &sign_in));
    let code = tokio::select! {
        code = timeout(PATIENCE, come_back) => match code {
            Ok(code) => code?,
            Err(_) => {
                console::tell("error: nobody signed in within 10 minutes\n");
                return Ok(None);
            }
        },
        Some(code) = pasted(&sign_in) => code,
    };
    let (session, token) = sign_in.finish(&code).await?;
    let settings = Settings { url: endpoint.url.clone(), token, network: endpoint.network.clone() };
    match home_assistant::connect(settings).await {
        Ok(connected) => connected.close().await,
        Err(why) => {
            session.revoke(&endpoint.network).await?;
            bail!("the sign-in was ended again: {why}");
        }
    }
    Ok(Some(session))
}

/// The code that a browser came back with, if it belongs to this sign-in.
fn code(query: &Query, sign_in: &SignIn) -> Result<(String, Sentence), Sentence> {
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    match (value("state"), value("code")) {
        (Some(state), Some(code)) if sign_in.knows(state) => {
            Ok((code.clone(), "You are signed in. You may close this page."))
        }
        (Some(state), None) if sign_in.knows(state) => Err("Home Assistant gave no code."),
        _ => Err("This does not belong to the sign-in that appcred waits for."),
    }
}

/// The code of an address that somebody pastes; `None` where nobody does.
async fn pasted(sign_in: &SignIn) -> Option<String> {
    let (send, mut lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let Some((_, text)) = line.trim().split_once('?') else { continue };
        match code(&query(text), sign_in) {
            Ok((code, _)) => return Some(code),
            Err(why) => console::tell(&format!("{why}\n")),
        }
    }
    None
}

/// Keeps the session and ends the one that was there before.
async fn keep(
    session: &Session,
    store: &Store,
    vault: &SecretResolver,
    endpoint: &HomeAssistantEndpoint,
) -> anyhow::Result<std::path::PathBuf> {
    let _lock = store.lock()?;
    // One that cannot be read any more cannot be ended either.
    let before = store.load(&session.url, vault).ok().flatten();
    let file = match store.save(session, vault) {
        Ok(file) => file,
        Err(why) => {
            session.revoke(&endpoint.network).await?;
            return Err(why.into());
        }
    };
    if let Some(before) = before
        && let Err(why) = before.revoke(&endpoint.network).await
    {
        console::tell(&format!("warning: the session before was not ended: {why}\n"));
    }
    Ok(file)
}
