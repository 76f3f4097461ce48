//! What is wrong between us and the cluster, in words, with what to do.

use kube::runtime::watcher;

/// The message of an error of the API server, or of the way there.
pub(super) fn in_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
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

fn with_causes(error: &dyn std::error::Error) -> String {
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
