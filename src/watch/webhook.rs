//! Posting notices to webhooks: one queue for each, in their order, again and again until they are
//! accepted or too old to matter.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::http::{self, Network};
use crate::model::Secret;
use crate::target::Stop;

/// Notices that wait; what comes on top is lost, and said to be.
const QUEUE: usize = 64;
/// Pauses between attempts, in seconds; after the last one the notice is given up.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// Posts in the background.
pub(super) struct WebhookSender {
    stop: Stop,
    /// The queues of those that were posted to.
    queues: Vec<(Secret, mpsc::Sender<Vec<u8>>)>,
}

impl WebhookSender {
    pub(super) fn new(stop: Stop) -> Self {
        Self { stop, queues: Vec::new() }
    }

    /// Takes a notice for each of these webhooks; those that are named no more get what waits for them.
    pub(super) fn send(&mut self, webhooks: &[Secret], body: &[u8]) {
        self.queues.retain(|(address, _)| webhooks.contains(address));
        for webhook in webhooks {
            if self.queue(webhook).try_send(body.to_owned()).is_err() {
                tracing::warn!("a webhook's queue is full: a notice is lost");
            }
        }
    }

    fn queue(&mut self, webhook: &Secret) -> &mpsc::Sender<Vec<u8>> {
        let known = self.queues.iter().position(|(address, _)| address == webhook);
        let at = known.unwrap_or_else(|| {
            let (sender, bodies) = mpsc::channel(QUEUE);
            tokio::spawn(post_all(webhook.clone(), bodies, self.stop.clone()));
            self.queues.push((webhook.clone(), sender));
            self.queues.len() - 1
        });
        &self.queues[at].1
    }
}

async fn post_all(address: Secret, mut bodies: mpsc::Receiver<Vec<u8>>, stop: Stop) {
    let client = match client(address.expose()) {
        Ok(client) => client,
        Err(why) => return tracing::error!("no notice can be posted to a webhook: {why}"),
    };
    loop {
        tokio::select! {
            body = bodies.recv() => match body {
                Some(body) => post(&client, &address, &body, &stop).await,
                None => return,
            },
            () = stop.cancelled() => return,
        }
    }
}

async fn post(client: &reqwest::Client, address: &Secret, body: &[u8], stop: &Stop) {
    let mut pauses = PAUSES.iter();
    loop {
        let request = client
            .post(address.expose())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_owned());
        // The address may be a secret, and reqwest would print it.
        let (why, may_retry) = match request.send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => {
                (format!("it answered {}", answer.status()), may_succeed_later(answer.status()))
            }
            Err(error) => (http::innermost(error), true),
        };
        let Some(pause) = pauses.next().filter(|_| may_retry) else {
            return tracing::warn!("a webhook did not accept a notice: {why}");
        };
        tokio::select! {
            () = sleep(Duration::from_secs(*pause)) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn client(address: &str) -> Result<reqwest::Client, String> {
    let url = reqwest::Url::parse(address).map_err(|_| "its address is not a URL".to_owned())?;
    Network::default().client(&url)?.build().map_err(http::innermost)
}

/// Whether the same request may be accepted later: redirects and most client errors (4xx) are for good.
fn may_succeed_later(status: StatusCode) -> bool {
    let passing =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    passing.contains(&status) || !(status.is_client_error() || status.is_redirection())
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::may_succeed_later;

    #[test]
    fn client_errors_but_three_are_for_good() {
        let later: Vec<u16> = (300..600)
            .filter(|code| may_succeed_later(StatusCode::from_u16(*code).unwrap()))
            .filter(|code| (400..500).contains(code))
            .collect();
        assert_eq!(later, [408, 425, 429]);
        assert!(may_succeed_later(StatusCode::BAD_GATEWAY));
    }
}
