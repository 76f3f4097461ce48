//! Posting notices, in their order, again and again until they are taken or too old to matter.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::http::{self, Network};
use crate::model::Secret;
use crate::target::Stop;

/// Notices that wait; what comes on top is lost, and said to be.
const MOST_WAITING: usize = 64;
/// Pauses between attempts, in seconds; after the last one the notice is given up.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

struct Delivery {
    address: Secret,
    body: Vec<u8>,
}

/// Posts in the background.
pub(super) struct WebhookSender {
    stop: Stop,
    deliverys: Option<mpsc::Sender<Delivery>>,
}

impl WebhookSender {
    pub(super) fn new(stop: Stop) -> Self {
        Self { stop, deliverys: None }
    }

    /// Takes a notice, which is posted as soon as those before it are.
    pub(super) fn send(&mut self, address: &Secret, notice: &impl Serialize) {
        let body = match serde_json::to_vec(notice) {
            Ok(body) => body,
            Err(why) => return tracing::error!("a notice cannot be written: {why}"),
        };
        let stop = &self.stop;
        let deliverys = self.deliverys.get_or_insert_with(|| {
            let (sender, deliverys) = mpsc::channel(MOST_WAITING);
            tokio::spawn(post_all(deliverys, stop.clone()));
            sender
        });
        if deliverys.try_send(Delivery { address: address.clone(), body }).is_err() {
            tracing::warn!("a webhook takes nothing: a notice is lost");
        }
    }
}

async fn post_all(mut deliverys: mpsc::Receiver<Delivery>, stop: Stop) {
    loop {
        tokio::select! {
            delivery = deliverys.recv() => match delivery {
                Some(delivery) => post(&delivery, &stop).await,
                None => return,
            },
            () = stop.cancelled() => return,
        }
    }
}

async fn post(delivery: &Delivery, stop: &Stop) {
    let client = match client(delivery.address.expose()) {
        Ok(client) => client,
        Err(why) => return tracing::warn!("a webhook cannot be called: {why}"),
    };
    let mut pauses = PAUSES.iter();
    loop {
        let request = client
            .post(delivery.address.expose())
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(delivery.body.clone());
        // The address may be a secret, and reqwest would tell it.
        let why = match request.send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => format!("it answers {}", answer.status()),
            Err(error) => error.without_url().to_string(),
        };
        let Some(pause) = pauses.next() else {
            return tracing::warn!("a webhook takes no notice: {why}");
        };
        tokio::select! {
            () = sleep(Duration::from_secs(*pause)) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn client(address: &str) -> Result<reqwest::Client, String> {
    let url = reqwest::Url::parse(address).map_err(|_| "its address is no URL".to_owned())?;
    Network::default().client(&url)?.build().map_err(http::innermost)
}
