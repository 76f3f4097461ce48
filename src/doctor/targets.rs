//! Each target, as far as it can be reached.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::task::spawn_blocking;
use url::Url;

use super::project::SeenProject;
use super::{DoctorRequest, HealthCheck};
use crate::codes::CheckCode;
use crate::codes::CheckCode::{
    Administrator, Certificate, Clock, Reach, RedirectUri, Running, Storage, Targets, Token,
    Watcher, Writable,
};
use crate::integrations::{self, Release};
use crate::lock::TargetLock;
use crate::model::{TargetName, Visible, counted, day, is_loopback};
use crate::target::Endpoint;
use crate::target::config_dir::{ConfigDirEndpoint, FolderContent, FolderExamination};
use crate::target::home_assistant::{Examination, NotWelcome, SeenServer, Welcome};
use crate::workspace::{EvaluationError, SelectionError, select};

/// Before the end of a certificate, in days: whoever renews it by a program has done so by then.
const CERTIFICATE_ENDS_SOON: i64 = 14;
/// Dates of HTTP are right to the second, and an answer takes a while.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(30);

/// Looks at the selected targets, side by side.
///
/// # Errors
/// Where there is no target of such a name.
pub(super) async fn look(
    request: &DoctorRequest,
    seen: &SeenProject,
) -> Result<Vec<HealthCheck>, EvaluationError> {
    let environment = &request.workspace.environment;
    let targets = match select(&seen.project, environment, &request.targets) {
        Ok(targets) => targets,
        Err(why @ SelectionError::Unknown { .. }) => return Err(why.into()),
        Err(why) => return Ok(vec![HealthCheck::error(Targets, why.to_string())]),
    };
    let looked = targets.iter().map(|(name, endpoint)| look_at(request, seen, name, endpoint));
    let looked = join_all(looked).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(looked.into_iter().flatten().collect())
}

async fn look_at(
    request: &DoctorRequest,
    seen: &SeenProject,
    name: &TargetName,
    endpoint: &Endpoint,
) -> Result<Vec<HealthCheck>, EvaluationError> {
    if seen.project.suspended.contains_key(name) {
        let seen = "it is suspended, so nothing connects to it";
        return Ok(vec![HealthCheck::ok(Targets, seen).of(name)]);
    }
    let environment = &request.workspace.environment;
    let mut checks = match endpoint {
        Endpoint::HomeAssistant(endpoint) => {
            let sessions = environment.sessions();
            let examined = endpoint.examine(&seen.resolver, sessions.as_ref()).await;
            let entries = seen.loaded.entries.iter();
            let entries = entries.filter(|entry| entry.targets.include(name)).count();
            home_assistant(&endpoint.url, &examined, entries)
        }
        Endpoint::ConfigDir(endpoint) => {
            let looked_at = endpoint.clone();
            let examined = spawn_blocking(move || looked_at.examine()).await?;
            config_dir(endpoint, &examined)
        }
        #[cfg(test)]
        Endpoint::Memory(_) => Vec::new(),
    };
    if let Some(folder) = &environment.state_folder {
        let file = TargetLock::file(&seen.project.owner, endpoint, folder);
        let lock = TargetLock { file: Some(file), holder: "`appcred doctor`".to_owned() };
        checks.push(match lock.watcher().await {
            Ok(None) => HealthCheck::ok(Watcher, "nobody on this machine watches it"),
            Ok(Some(holder)) => HealthCheck::ok(Watcher, format!("it is watched by {holder}")),
            Err(why) => HealthCheck::warning(Watcher, why.to_string()),
        });
    }
    Ok(checks.into_iter().map(|check| check.of(name)).collect())
}

fn home_assistant(url: &str, seen: &Examination, entries: usize) -> Vec<HealthCheck> {
    const AFTER_REACH: [CheckCode; 2] = [Certificate, Clock];
    const AFTER_TOKEN: [CheckCode; 4] = [Administrator, CheckCode::Release, Running, RedirectUri];
    let skip = |codes: &[CheckCode], why: &str| -> Vec<HealthCheck> {
        codes.iter().map(|code| HealthCheck::skipped(*code, why)).collect()
    };
    let reached = match &seen.reached {
        Ok(reached) => reached,
        Err(why) => {
            let rest = [&AFTER_REACH[..], &[Token], &AFTER_TOKEN].concat();
            return [vec![HealthCheck::error(Reach, why)], skip(&rest, "it is not reached")]
                .concat();
        }
    };
    let way = match &seen.proxy {
        Some(proxy) => format!("{url} answers, through the proxy {proxy}"),
        None => format!("{url} answers, without a proxy"),
    };
    let mut checks = vec![HealthCheck::ok(Reach, way), certificate(reached), clock(reached)];
    checks.extend(match &seen.welcome {
        None => skip(&[&[Token][..], &AFTER_TOKEN].concat(), "it is not reached"),
        Some(Err(NotWelcome::NoToken(why))) => {
            let rest = skip(&AFTER_TOKEN, "there is no token");
            [vec![HealthCheck::error(Token, why)], rest].concat()
        }
        Some(Err(NotWelcome::Token(why))) => {
            let rest = skip(&AFTER_TOKEN, "the token is not accepted");
            [vec![HealthCheck::error(Token, why)], rest].concat()
        }
        Some(Err(NotWelcome::Right(why))) => {
            let first = [HealthCheck::ok(Token, ACCEPTED), HealthCheck::error(Administrator, why)];
            [first.to_vec(), skip(&AFTER_TOKEN[1..], "the token is not an administrator's")]
                .concat()
        }
        Some(Err(NotWelcome::Lost(why))) => {
            let others = [Token, Administrator, CheckCode::Release, RedirectUri];
            [vec![HealthCheck::error(Running, why)], skip(&others, "the connection was lost")]
                .concat()
        }
        Some(Ok(welcome)) => welcomed(welcome, entries),
    });
    checks
}

const ACCEPTED: &str = "it is accepted";

fn certificate(reached: &SeenServer) -> HealthCheck {
    let Some(end) = reached.certificate_end else {
        return HealthCheck::skipped(
            Certificate,
            "there is none: the address does not begin with https",
        );
    };
    let left = end.duration_since(Timestamp::now()).as_hours().div_euclid(24);
    let seen = format!("its certificate expires on {}", day(end));
    match left {
        CERTIFICATE_ENDS_SOON.. => HealthCheck::ok(Certificate, seen),
        left => {
            let left = counted(usize::try_from(left).unwrap_or_default(), "day");
            HealthCheck::warning(Certificate, format!("{seen}, in {left}")).help("renew it there")
        }
    }
}

fn clock(reached: &SeenServer) -> HealthCheck {
    let Some(ahead) = reached.clock_ahead else {
        return HealthCheck::skipped(Clock, "its answer has no date");
    };
    let seconds = SignedDuration::from_secs(ahead.as_secs().abs());
    if seconds <= CLOCKS_DIFFER {
        return HealthCheck::ok(Clock, "its clock agrees with that of this machine");
    }
    let way = if ahead.is_negative() { "behind" } else { "ahead of" };
    HealthCheck::warning(Clock, format!("its clock is {seconds:#} {way} that of this machine")).help(
        "set both clocks with NTP: access tokens and authorization codes expire, and with a wrong clock they expire too early",
    )
}

fn welcomed(welcome: &Welcome, entries: usize) -> Vec<HealthCheck> {
    let Welcome { version, state, is_recovering, has_my, redirect_uri } = welcome;
    let running = match state.as_str() {
        _ if *is_recovering => HealthCheck::error(Running, "Home Assistant is in recovery mode")
            .help("its configuration has an error: correct it there and restart it"),
        "RUNNING" => HealthCheck::ok(Running, "Home Assistant runs"),
        state => HealthCheck::warning(Running, format!("Home Assistant reports the state {state}"))
            .help("wait until it has started: integrations are missing before"),
    };
    vec![
        HealthCheck::ok(Token, ACCEPTED),
        HealthCheck::ok(Administrator, "its user is an administrator"),
        release(version.as_deref()),
        running,
        redirect(redirect_uri, *has_my, entries),
    ]
}

/// Whether what is known of integrations was read from this release.
fn release(version: Option<&str>) -> HealthCheck {
    let code = CheckCode::Release;
    let shown = version.unwrap_or("of an unknown release");
    let seen = format!("Home Assistant {shown}");
    let (Some(release), Some((oldest, newest))) = (Release::of(version), integrations::read_of())
    else {
        return HealthCheck::warning(code, seen)
            .help("appcred treats its integrations as those of the newest known release");
    };
    if release < oldest {
        return HealthCheck::error(code, format!("{seen} is older than {oldest}")).help(format!(
            "update Home Assistant: {oldest} is the oldest release that is supported"
        ));
    }
    if release > newest {
        return HealthCheck::warning(code, format!("{seen} is newer than this appcred")).help(
            format!(
                "update appcred where there is a newer one: it treats integrations as in {newest}"
            ),
        );
    }
    HealthCheck::ok(code, format!("{seen}, whose integrations are known"))
}

fn redirect(uri: &str, has_my: bool, entries: usize) -> HealthCheck {
    let why = if has_my { " (the integration `my` is loaded)" } else { "" };
    let seen = format!("{uri}{why}, to be registered for {}", counted(entries, "entry"));
    let parsed = Url::parse(uri).ok();
    let is_accepted = parsed.is_some_and(|uri| uri.scheme() == "https" || is_loopback(&uri));
    if is_accepted {
        return HealthCheck::ok(RedirectUri, seen);
    }
    HealthCheck::warning(RedirectUri, format!("{seen}; many providers accept none without https"))
        .help("load the integration `my` (it is in `default_config:`), or give Home Assistant an external URL with https; `appcred authorize` needs neither")
}

fn config_dir(endpoint: &ConfigDirEndpoint, seen: &FolderExamination) -> Vec<HealthCheck> {
    let folder = endpoint.0.visible();
    let storage = match &seen.holds {
        Err(why) => HealthCheck::error(Storage, why),
        Ok(FolderContent { is_new: true, .. }) => HealthCheck::ok(
            Storage,
            format!("{folder} does not exist yet: the first apply makes it"),
        ),
        Ok(FolderContent { version, credentials, .. }) => {
            let version = version.as_deref().map(|version| format!(" of Home Assistant {version}"));
            let credentials = counted(*credentials, "credential");
            HealthCheck::ok(
                Storage,
                format!("{folder}{} has {credentials}", version.unwrap_or_default()),
            )
        }
    };
    let running = match &seen.running {
        Some(why) => HealthCheck::error(Running, why),
        None => HealthCheck::ok(Running, "no running Home Assistant was found on it"),
    };
    let writable = match &seen.not_writable {
        Some(why) => HealthCheck::error(Writable, why),
        None => HealthCheck::ok(Writable, "what it stores can be written"),
    };
    vec![storage, running, writable]
}
