//! Where `watch` listens, and whom it lets in.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{anyhow, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

use crate::server::{Access, AccessError, Ingress, TokenFile};
use crate::target::home_assistant::ConnectionSettings;
use crate::watch::AdministratorQuery;

use super::environment;

/// From where Home Assistant's Supervisor asks, as its documentation of add-ons says.
const SUPERVISOR: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 32, 2));

/// Users about whom Home Assistant is asked at once.
const QUERY_QUEUE: usize = 64;

/// Where to listen, and whom to let in
#[derive(Args, Clone, Debug)]
pub(super) struct ListenArgs {
    /// Serve the status page, metrics and probes at this address; `off` serves nothing
    #[arg(
        long,
        env = "APPCRED_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8099",
        help_heading = "Status page"
    )]
    listen: Listen,
    /// Let in requests with the token in this file; needed if other machines can reach the address
    #[arg(long, value_name = "FILE", help_heading = "Status page")]
    token_file: Option<PathBuf>,
    /// Read everything again when a Git host posts to /api/v1/hook, signed with the secret in this file: GitHub, Gitea,
    /// Forgejo, or GitLab with its signing token or secret token
    #[arg(long, value_name = "FILE", help_heading = "Status page")]
    hook_secret_file: Option<PathBuf>,
    /// Accept requests for this host name, such as that of a reverse proxy on this machine
    #[arg(long, value_name = "NAME[:PORT]", help_heading = "Status page")]
    allow_host: Vec<String>,
    /// Let in the administrators of Home Assistant, when run as an app (add-on)
    ///
    /// Home Assistant lets any user who is signed in through to an app. So appcred asks it, with SUPERVISOR_TOKEN, who
    /// is an administrator; any other user is shown a greeting.
    #[arg(long, help_heading = "Status page")]
    ingress: bool,
    /// Have providers send browsers back to this address, at which they reach the status page,
    /// instead of to Home Assistant; its path /auth/external/callback must be known to the provider
    #[arg(long, value_name = "URL", value_parser = base, help_heading = "Status page")]
    consent_base: Option<String>,
}

/// Where to listen, if anywhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum Listen {
    Off,
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address = text.strip_prefix("localhost").map(|port| format!("127.0.0.1{port}"));
        let address = address.as_deref().unwrap_or(text).parse();
        address
            .map(Self::At)
            .map_err(|_| "write `off`, or an address as in 127.0.0.1:8099 or [::1]:8099")
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// A place on the web without a path, written as Home Assistant takes it.
fn base(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "write it as in https://appcred.example")?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_web = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
    if !is_bare || !is_web || url.password().is_some() {
        return Err(
            "it must be http:// or https:// with a host and an optional port, and nothing after that",
        );
    }
    Ok(url.origin().ascii_serialization())
}

/// A Home Assistant, and who asks about its users.
type HouseOfQueries = (ConnectionSettings, mpsc::Receiver<AdministratorQuery>);

impl ListenArgs {
    /// Where browsers come back to after consent, if not to Home Assistant.
    pub(super) fn consent_base(&self) -> Option<String> {
        self.consent_base.clone()
    }

    /// The secret of the webhooks of Git hosts.
    ///
    /// # Errors
    /// Where it cannot be read, or nothing is served.
    pub(super) fn hook(&self) -> anyhow::Result<Option<TokenFile>> {
        if self.hook_secret_file.is_some() && matches!(self.listen, Listen::Off) {
            bail!("--hook-secret-file needs a listener: it cannot be used with --listen off");
        }
        let hook = self.hook_secret_file.clone().map(TokenFile::of_hook).transpose();
        hook.map_err(|why| anyhow!("--hook-secret-file: {why}"))
    }

    /// Whom the Supervisor lets in, and the questions who of them is an administrator, for the Home Assistant that is
    /// to answer them.
    ///
    /// # Errors
    /// Where this is no app.
    pub(super) fn ingress(&self) -> anyhow::Result<Option<(Ingress, HouseOfQueries)>> {
        if !self.ingress {
            return Ok(None);
        }
        if let Listen::At(address) = self.listen
            && address.ip().to_canonical().is_loopback()
        {
            bail!("Home Assistant cannot reach {address}: --ingress needs --listen 0.0.0.0:8099");
        }
        let Some(house) = environment::supervisor() else {
            bail!(
                "--ingress needs SUPERVISOR_TOKEN, which an app (add-on) of Home Assistant has if its config.yaml says `homeassistant_api: true`"
            );
        };
        let (administrators, queries) = mpsc::channel(QUERY_QUEUE);
        Ok(Some((Ingress { supervisor: SUPERVISOR, administrators }, (house, queries))))
    }

    /// Takes the port, and knows who may ask; nothing where nobody may.
    ///
    /// # Errors
    /// Where everybody could come, or the token cannot be read, or the port is taken.
    pub(super) async fn bind(
        &self,
        ingress: Option<Ingress>,
    ) -> anyhow::Result<Option<(TcpListener, Access)>> {
        let Listen::At(address) = self.listen else {
            if self.consent_base.is_some() {
                bail!("--consent-base needs a listener: it cannot be used with --listen off");
            }
            return Ok(None);
        };
        if ingress.is_some() && self.consent_base.is_some() && self.token_file.is_none() {
            bail!(
                "--consent-base beside --ingress needs --token-file: a provider sends the browser to appcred itself, and without a token only Home Assistant is let in"
            );
        }
        let token = self.token_file.clone().map(TokenFile::new).transpose();
        let token = token.map_err(|why| anyhow!("--token-file: {why}"))?;
        // Refused before anybody could come.
        let access = Access::new(address, token, ingress, self.allow_host.clone());
        let mut access = access.map_err(refused)?;
        let listener = TcpListener::bind(address).await.map_err(|why| unbound(&why, address))?;
        let at = listener.local_addr()?;
        access.listens_on(at.port());
        tracing::info!("the status page is at http://{at}");
        Ok(Some((listener, access)))
    }
}

fn refused(why: AccessError) -> anyhow::Error {
    match why {
        AccessError::NoRandomness(_) => why.into(),
        AccessError::TooOpen(_) => anyhow!(
            "{why}: require a token with --token-file, or run behind Home Assistant with --ingress"
        ),
    }
}

fn unbound(why: &io::Error, address: SocketAddr) -> anyhow::Error {
    match why.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "cannot listen on {address}: another program does; choose another port with --listen, or --listen off"
        ),
        ErrorKind::AddrNotAvailable => {
            anyhow!("cannot listen on {address}: this machine has no such address")
        }
        _ => anyhow!("cannot listen on {address}: {why}"),
    }
}
