//! From the project to the targets that are asked for, and the way into each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;

use crate::http::Network;
use crate::manifest::{self, Command, Project};
use crate::model::{Secret, TargetName};
use crate::secret::{self, SecretResolver, token};
use crate::session::Store;
use crate::target::config_dir::ConfigDir;
use crate::target::home_assistant::SignInError;
use crate::target::{Target, home_assistant};

use super::environment;
use super::selection::Selection;

/// What the target is called that the environment names.
const UNNAMED: &str = "home";

/// Where a target is and how one gets in. Nothing is read or run before [`Way::open`].
#[derive(Clone)]
pub(super) enum Way {
    /// A running HA.
    HomeAssistant(Door),
    /// A configuration folder at rest.
    ConfigDir(PathBuf),
}

/// A running HA, and by what one gets in.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) url: String,
    pub(super) network: Network,
    pub(super) key: DoorKey,
}

/// An access token, or how it is had.
#[derive(Clone)]
pub(super) enum DoorKey {
    /// The environment has it.
    InHand(Secret),
    /// The project file tells.
    Named(manifest::Token),
}

impl DoorKey {
    fn is_same(&self, other: &Self) -> bool {
        use manifest::Token::{Command, File, Session, Written};
        match (self, other) {
            (Self::InHand(one), Self::InHand(other)) => one == other,
            (Self::Named(one), Self::Named(other)) => match (one, other) {
                (Written(one), Written(other)) => one.value == other.value,
                (File(one), File(other)) => one == other,
                (Command(one), Command(other)) => one == other,
                (Session, Session) => true,
                _ => false,
            },
            _ => false,
        }
    }
}

/// The targets that are asked for.
///
/// # Errors
/// Where none is known, or one is asked for that is not.
pub(super) fn chosen(
    project: &Project,
    selection: &Selection,
) -> anyhow::Result<Vec<(TargetName, Way)>> {
    let mut all: BTreeMap<TargetName, Way> =
        project.targets.iter().map(|(name, target)| (name.clone(), way(target))).collect();
    if all.is_empty() {
        all.insert(TargetName::new(UNNAMED), from_environment()?);
    }
    if selection.targets.is_empty() {
        return Ok(all.into_iter().collect());
    }
    let known: Vec<String> = all.keys().map(ToString::to_string).collect();
    let mut chosen = BTreeMap::new();
    for name in &selection.targets {
        let name = TargetName::new(name.clone());
        match all.remove(&name) {
            Some(way) => {
                chosen.insert(name, way);
            }
            None if chosen.contains_key(&name) => {}
            None => bail!("there is no target `{name}`; there are: {}", known.join(", ")),
        }
    }
    Ok(chosen.into_iter().collect())
}

/// Whether a project has a target of this name; the environment's where it names none.
pub(super) fn is_target(project: &Project, name: &str) -> bool {
    if project.targets.is_empty() {
        name == UNNAMED
    } else {
        project.targets.contains_key(&TargetName::new(name))
    }
}

fn way(target: &manifest::Target) -> Way {
    match target {
        manifest::Target::ConfigDir(folder) => Way::ConfigDir(folder.clone()),
        manifest::Target::HomeAssistant { url, token, network } => Way::HomeAssistant(Door {
            url: url.clone(),
            network: network.clone(),
            key: DoorKey::Named(token.clone()),
        }),
    }
}

fn from_environment() -> anyhow::Result<Way> {
    let (url, key) = match environment::target() {
        environment::Named::HomeAssistant { url, token } => (url, DoorKey::InHand(token)),
        environment::Named::NoToken { url } => (url, DoorKey::Named(manifest::Token::Session)),
        environment::Named::Nothing => bail!(
            "no target: name one under `targets:` in appcred.yaml, or set HASS_SERVER and HASS_TOKEN"
        ),
    };
    Ok(Way::HomeAssistant(Door { url, network: Network::default(), key }))
}

impl Way {
    /// As a person knows the target.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::HomeAssistant(door) => door.url.clone(),
            Self::ConfigDir(folder) => folder.display().to_string(),
        }
    }

    /// Whether it leads in without a program that may ask somebody.
    pub(super) fn is_silent(&self) -> bool {
        let asks = |door: &Door| matches!(door.key, DoorKey::Named(manifest::Token::Command(_)));
        !matches!(self, Self::HomeAssistant(door) if asks(door))
    }

    /// The files that the way in depends on.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::ConfigDir(_) => Vec::new(),
            Self::HomeAssistant(door) => {
                let token = match &door.key {
                    DoorKey::Named(manifest::Token::File(file)) => Some(file.clone()),
                    _ => None,
                };
                door.network.ca_file.iter().cloned().chain(token).collect()
            }
        }
    }

    /// Whether it is written as this one is.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ConfigDir(one), Self::ConfigDir(other)) => one == other,
            (Self::HomeAssistant(one), Self::HomeAssistant(other)) => {
                one.url == other.url && one.network == other.network && one.key.is_same(&other.key)
            }
            _ => false,
        }
    }

    /// Goes in.
    ///
    /// # Errors
    /// Where the token cannot be had, or nobody answers, or not as hoped for.
    pub(super) async fn open(self, vault: &SecretResolver) -> Result<Target, String> {
        match self {
            Self::ConfigDir(folder) => Ok(Target::ConfigDir(ConfigDir::new(folder))),
            Self::HomeAssistant(Door { url, network, key }) => {
                let token = match key {
                    DoorKey::InHand(token) => token,
                    DoorKey::Named(token) => read(token, &url, &network, vault).await?,
                };
                let settings = home_assistant::Settings { url, token, network };
                let opened = home_assistant::connect(settings).await;
                opened.map(Box::new).map(Target::HomeAssistant).map_err(|error| error.to_string())
            }
        }
    }
}

async fn read(
    named: manifest::Token,
    url: &str,
    network: &Network,
    vault: &SecretResolver,
) -> Result<Secret, String> {
    let unread = |why: token::NoToken| format!("no access token for {url}: {why}");
    match named {
        manifest::Token::Written(written) => secret::read(&written.value, vault).map_err(|why| {
            format!("cannot read its token ({}): {why}; {}", written.spot.place(), why.help())
        }),
        manifest::Token::File(file) => token::from_file(&file).map_err(unread),
        manifest::Token::Command(Command { program, arguments, folder }) => {
            token::from_command(&program, &arguments, &folder).await.map_err(unread)
        }
        manifest::Token::Session => from_session(url, network, vault).await,
    }
}

/// An access token of whoever is signed in.
async fn from_session(
    url: &str,
    network: &Network,
    vault: &SecretResolver,
) -> Result<Secret, String> {
    let found = match (sessions(), home_assistant::canonical(url)) {
        (_, Err(why)) => return Err(why.to_string()),
        (None, Ok(_)) => None,
        (Some(store), Ok(url)) => store.load(&url, vault).map_err(|why| why.to_string())?,
    };
    let Some(session) = found else {
        return Err(format!(
            "no access token for {url}: sign in by `appcred login`, or name a token in appcred.yaml or HASS_TOKEN"
        ));
    };
    session.access_token(network).await.map_err(|why| match why {
        SignInError::Over { .. } => format!("{why}; sign in again by `appcred login`"),
        SignInError::Refused { .. } | SignInError::Target(_) => why.to_string(),
    })
}

/// Where sessions are kept; `None` where this person has no place for that.
pub(super) fn sessions() -> Option<Store> {
    environment::session_folder().map(Store::new)
}

/// The one running HA that is meant.
///
/// # Errors
/// Where there is none of that name, or it is none, or several are there and none is named.
pub(super) fn house(project: &Project, name: Option<&str>) -> anyhow::Result<(TargetName, Door)> {
    let selection = Selection { targets: name.map(str::to_owned).into_iter().collect() };
    let mut houses: Vec<(TargetName, Door)> = chosen(project, &selection)?
        .into_iter()
        .filter_map(|(name, way)| match way {
            Way::HomeAssistant(door) => Some((name, door)),
            Way::ConfigDir(_) => None,
        })
        .collect();
    match (houses.pop(), houses.is_empty()) {
        (Some(house), true) => Ok(house),
        (Some((last, _)), false) => {
            let names: Vec<String> = houses.iter().map(|(name, _)| name.to_string()).collect();
            bail!("there are several targets: name {} or {last}", names.join(", "))
        }
        (None, _) => bail!("nobody can sign in to a configuration folder"),
    }
}
