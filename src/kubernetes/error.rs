//! What is wrong between us and the cluster, in words, with what to do.

use std::time::Duration;
use std::{io, iter};

use kube::client::AuthError;
use kube::config::KubeconfigError;
use kube::runtime::watcher;
use tokio::time::timeout;

use crate::model::{Visible, without_values};

/// How long one request may take.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The answer to a request; an error where there is none within the limit. kube itself waits for ever.
pub(super) async fn within<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> kube::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the cluster does not answer");
    timeout(limit, request).await.unwrap_or_else(|_| Err(kube::Error::Service(late().into())))
}

/// The message of an error of the API server, or of the way there.
pub(super) fn in_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::SerdeError(why) => {
            format!("the answer cannot be read: {}", without_values(why))
        }
        other => with_causes(other),
    }
}

/// Why objects of a kind are not watched.
pub(super) fn of_watch(what: &str, error: &watcher::Error) -> String {
    let cause = match error {
        watcher::Error::InitialListFailed(why)
        | watcher::Error::WatchStartFailed(why)
        | watcher::Error::WatchFailed(why) => why,
        other => return format!("cannot watch {what}: {}", with_causes(other)),
    };
    let help = match cause {
        kube::Error::Api(status) if status.code == 404 => {
            ": apply what `appcred schema crd` prints"
        }
        kube::Error::Api(status) if status.code == 403 => {
            ": give the service account the rights to list and watch them"
        }
        _ => "",
    };
    format!("cannot watch {what}: {}{help}", in_words(cause))
}

/// Why objects of a kind cannot be listed.
pub(super) fn of_list(what: &str, error: &kube::Error) -> String {
    let help = match error {
        kube::Error::Api(status) if status.code == 403 => {
            ": give the service account the rights to list and watch them"
        }
        _ => "",
    };
    format!("cannot list {what}: {}{help}", in_words(error))
}

/// Why a kubeconfig cannot be used. kube shows the lines around what it cannot read, tokens included.
pub(super) fn of_kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(why, file) if why.kind() == io::ErrorKind::NotFound => {
            format!("there is no {}", file.visible())
        }
        KubeconfigError::Parse(why) => match why.location() {
            Some(at) => format!(
                "the kubeconfig cannot be read from line {} column {} on",
                at.line(),
                at.column()
            ),
            None => "the kubeconfig cannot be read".to_owned(),
        },
        other => with_causes(other),
    }
}

/// Why an exec plugin of a kubeconfig gives no token. kube repeats what it prints, which may be one, and its environment.
fn of_plugin(error: &AuthError) -> Option<String> {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            let why = String::from_utf8_lossy(&out.stderr);
            Some(format!("the kubeconfig's exec plugin failed ({}): {}", out.status, why.trim()))
        }
        AuthError::AuthExecParse(_) => {
            Some("what the kubeconfig's exec plugin prints is no ExecCredential".to_owned())
        }
        _ => None,
    }
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes = iter::successors(Some(error), |of| of.source());
    if let Some(of_plugin) = causes.find_map(|of| of_plugin(of.downcast_ref()?)) {
        return of_plugin;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(of) = cause {
        let of_cause = of.to_string();
        if !text.contains(&of_cause) {
            text = format!("{text}: {of_cause}");
        }
        cause = of.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use k8s_openapi::api::core::v1::Secret;

    use super::{in_words, within};

    #[tokio::test]
    async fn a_request_that_is_never_answered_ends() {
        let failed = within::<()>(Duration::ZERO, pending()).await.unwrap_err();
        assert!(in_words(&failed).contains("the cluster does not answer"), "{failed}");
    }

    #[test]
    fn what_an_answer_holds_that_cannot_be_read_is_not_repeated() {
        let answer = r#"{"apiVersion": "v1", "kind": "Secret", "data": "hush"}"#;
        let why = serde_json::from_str::<Secret>(answer).unwrap_err();
        assert!(why.to_string().contains("hush"), "{why}");
        let why = in_words(&kube::Error::SerdeError(why));
        assert_eq!(why, "the answer cannot be read: data error at line 1 column 53");
    }
}
