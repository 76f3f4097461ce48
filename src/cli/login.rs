//! `login`

use std::io::{BufRead, Read};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::callback::{Arrival, AuthorizationResponse, Loopback, is_same_state};
use crate::codes::ChangeCode;
use crate::http::Network;
use crate::model::{HandOverError, Visible};
use crate::report::changes::MadeChange;
use crate::secret::SecretResolver;
use crate::target::TargetError;
use crate::target::home_assistant::{
    self, AuthMethod, ConnectionSettings, LoginSession, SessionStore, SignIn, SignInError,
};
use crate::workspace::one_home_assistant;

use super::exit::ExitStatus;
use super::gather::{project, resolver};
use super::times::{exactly, seconds};
use super::{ChangesArgs, Global, candidates, console, environment};

/// No address is as long.
const MAX_PASTED: u64 = 64 * 1024;

const NOT_ADMINISTRATOR: &str = "you signed in as a user who is not an administrator, so the sign-in is not kept; run `appcred login` again and sign in as an administrator";

/// Sign in to a running Home Assistant in the browser, instead of making a token by hand
///
/// Opens Home Assistant's own sign-in, and waits for the browser on a port of this machine. The
/// session is stored in $XDG_STATE_HOME/appcred/sessions (~/.local/state), encrypted to the age
/// identities found, renewed when it expires, and used for each target that names no token.
///
/// Where the browser is on another machine, it ends on a page that does not load: paste the address
/// of that page here.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred login
  appcred login cabin --no-browser
  HASS_SERVER=http://homeassistant.local:8123 appcred login")]
pub(super) struct Login {
    /// The target; needed where there are several
    #[arg(value_name = "TARGET", add = candidates::targets())]
    target: Option<String>,
    /// Print the link and open nothing
    #[arg(long)]
    no_browser: bool,
    /// The port of this machine to which the browser comes back; default: any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// How long to wait for the browser: seconds, or as in 5m
    #[arg(long, value_name = "TIME", default_value_t = 600, value_parser = seconds)]
    timeout: u64,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

pub(super) async fn run(
    global: &Global,
    verb: &Login,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let Some(project) = project(global) else { return Ok(ExitStatus::Failure) };
    let environment = environment::read();
    let (name, endpoint) = one_home_assistant(&project, &environment, verb.target.as_deref())?;
    let (resolver, problems) = resolver(global, &project);
    for problem in problems {
        console::warning(format_args!("{problem}"));
    }
    let Some(store) = environment.sessions().filter(|_| !resolver.recipients().is_empty()) else {
        bail!(
            "there is no age identity to encrypt the session to: make one with \
             `appcred keygen`, or name yours under `age: identities:` in appcred.yaml"
        );
    };
    let network = endpoint.network.read(&resolver)?;
    let signing_in = sign_in(&endpoint.url, &network, verb).await?;
    let Some(session) = signing_in else { return Ok(ExitStatus::Failure) };
    let file = keep(&session, &store, &resolver, &network).await?;
    made.push(MadeChange::new(ChangeCode::SignedIn).target(&name).file(&file));
    console::say(&format!(
        "Signed in to {name} ({}). The session is kept in {}.\n",
        session.url,
        file.visible()
    ))?;
    if !matches!(endpoint.auth, AuthMethod::Session) {
        console::warning(format_args!(
            "{name} has a token of its own, which takes precedence over the session"
        ));
    }
    Ok(ExitStatus::Success)
}

/// Lets a person sign in; `None` where no browser came back, which was reported.
async fn sign_in(
    url: &str,
    network: &Network,
    verb: &Login,
) -> anyhow::Result<Option<LoginSession>> {
    let listening = Loopback::listen(verb.port, SignIn::RETURN).await;
    let mut listener = listening.with_context(|| {
        format!("cannot listen on port {} of this machine; choose another with --port", verb.port)
    })?;
    let sign_in = SignIn::new(url, network, listener.origin())?;
    sign_in.look().await?;
    let link = sign_in.link().as_str();
    console::print_error_whole(&format!("Sign in here:\n\n  {link}\n\n"));
    let can_paste = console::can_ask();
    if !verb.no_browser && open::that_detached(link).is_err() {
        if !can_paste {
            bail!(
                "no browser could be opened, and there is no terminal: run `appcred login` in a terminal, or pass --no-browser to wait until somebody has followed the link"
            );
        }
        console::message("No browser could be opened: open the link yourself.");
    }
    console::message(format_args!(
        "Waiting up to {} for the browser to come back.{}",
        exactly(verb.timeout),
        if can_paste { " If it cannot, paste the address of the page where it ends:" } else { "" }
    ));
    listener.expect(sign_in.state());
    let within = Duration::from_secs(verb.timeout);
    let Ok(granted) = timeout(within, granted(&sign_in, (url, network), &mut listener)).await
    else {
        console::error(format_args!(
            "nobody signed in within {}; --timeout waits longer",
            exactly(verb.timeout)
        ));
        return Ok(None);
    };
    listener.close().await?;
    Ok(Some(granted?))
}

/// Waits until a browser, or a person, brings a code that Home Assistant takes, of a user whose session is of use.
async fn granted(
    sign_in: &SignIn,
    place: (&str, &Network),
    listener: &mut Loopback,
) -> anyhow::Result<LoginSession> {
    let mut pasted = pasted_lines();
    loop {
        let taken = tokio::select! {
            arrival = listener.next() => {
                let Arrival::Answer(delivery) = arrival else { continue };
                let granted = redeem(sign_in, &delivery.query, place).await;
                delivery.taken(granted.as_ref().map(|_| ()).map_err(Clone::clone));
                granted
            }
            Some(line) = pasted.recv() => {
                let Some((_, query)) = line.trim().split_once('?') else { continue };
                let state = AuthorizationResponse::read(query).state;
                if !state.is_some_and(|state| is_same_state(&state, sign_in.state())) {
                    console::message("This address is not part of the sign-in that appcred is waiting for.");
                    continue;
                }
                redeem(sign_in, query, place).await
            }
        };
        match taken {
            Err(HandOverError::NotNow(why)) => {
                console::warning(format_args!("{why}; still waiting"));
            }
            other => return Ok(other?),
        }
    }
}

/// Exchanges what came back for a session, and makes sure that its user is an administrator: the person at
/// the browser must not read that all is well where nothing is kept.
async fn redeem(
    sign_in: &SignIn,
    query: &str,
    (url, network): (&str, &Network),
) -> Result<LoginSession, HandOverError> {
    let Some(code) = AuthorizationResponse::read(query).code else {
        return Err(HandOverError::NotNow("Home Assistant gave no code".to_owned()));
    };
    let finished = sign_in.finish(&code).await.map_err(|why| match why {
        SignInError::Target(why) => HandOverError::NotNow(why.to_string()),
        SignInError::Over { .. } | SignInError::Refused { .. } => {
            HandOverError::Refused(why.to_string())
        }
    });
    let (session, token) = finished?;
    let settings = ConnectionSettings { url: url.to_owned(), token, network: network.clone() };
    match home_assistant::connect(settings).await {
        Ok(connected) => connected.close().await,
        Err(why) => {
            end(&session, network).await;
            let why = match why {
                TargetError::NotAdmin { .. } => NOT_ADMINISTRATOR.to_owned(),
                other => format!("{other}; the sign-in is not kept"),
            };
            return Err(HandOverError::Refused(why));
        }
    }
    Ok(session)
}

/// What a person pastes, line by line.
fn pasted_lines() -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let stdin = std::io::stdin().lock().take(MAX_PASTED);
        for line in stdin.lines().map_while(Result::ok) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Keeps the session and ends the one that was there before.
async fn keep(
    session: &LoginSession,
    store: &SessionStore,
    resolver: &SecretResolver,
    network: &Network,
) -> anyhow::Result<std::path::PathBuf> {
    let _lock = store.lock()?;
    // One that cannot be read any more cannot be ended either.
    let before = store.load(&session.url, resolver).ok().flatten();
    let file = match store.save(session, resolver) {
        Ok(file) => file,
        Err(why) => {
            end(session, network).await;
            return Err(why.into());
        }
    };
    if let Some(before) = before {
        end(&before, network).await;
    }
    Ok(file)
}

/// Ends a session that is not kept. Where that fails, what led to it counts still.
async fn end(session: &LoginSession, network: &Network) {
    if let Err(why) = session.revoke(network).await {
        console::warning(format_args!(
            "a session that is not kept was not ended ({why}): end it in your profile in Home Assistant, under Security"
        ));
    }
}
