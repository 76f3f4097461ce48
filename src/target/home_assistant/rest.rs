//! The calls that HA has over HTTP alone.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use secrecy::zeroize::Zeroizing;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::address::Address;
use super::connection::CommandError;
use super::flow_response::{FlowResponse, errors};
use super::unreachable::{is_starting, unreachable};
use crate::http::{self, Network};
use crate::model::{Domain, EntryId, FlowId, FlowStep, HandOverError, RunId, Secret};
use crate::target::fence::{CLOSED, FenceSlot};
use crate::target::{Denial, TargetError};

/// A removal waits until the integration has ended, some of which end something in their cloud first.
const REMOVE_TIMEOUT_SECONDS: u64 = 120;
/// The start of a flow waits until HA has installed what the integration needs.
const FLOW_START_TIMEOUT_SECONDS: u64 = 300;
/// A step of a flow may ask a provider or set an integration up.
const FLOW_TIMEOUT_SECONDS: u64 = 120;
/// All else is answered from memory.
const TIMEOUT_SECONDS: u64 = 30;
/// Where HA cannot even import it.
pub(super) const CANNOT_LOAD: &str = "Home Assistant cannot load this integration";
/// The code of a refusal where a call has failed in HA.
pub(super) const FAILED: &str = "HTTP 500";
/// A form with thousands of choices fits.
const LARGEST_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// HA's HTTP API.
pub(super) struct Rest {
    client: Client,
    address: Address,
    token: Secret,
    fence: FenceSlot,
}

#[derive(Serialize)]
struct StartFlow<'a> {
    handler: &'a str,
    /// The account to be linked again. Releases that do not know it would link a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<&'a EntryId>,
}

/// What HA finds wrong with what was filled in.
#[derive(Deserialize)]
struct FormErrors {
    errors: BTreeMap<String, Value>,
}

/// The ids of the states that are the oldest, as HA's templates give them.
const OLDEST_STATES: &str = "{{ (states | sort(attribute='last_updated') | map(attribute='context.id') | list)[:8] | to_json }}";

/// What HA is to make of its states.
#[derive(Serialize)]
struct Template {
    template: &'static str,
}

/// The result of an answer to a form.
pub enum FlowAnswer<S = FlowStep> {
    /// The next step.
    Step(S),
    /// The form does not take it: HA's messages by field.
    Invalid(BTreeMap<String, String>),
    /// HA has no such flow any more.
    Gone,
}

const FLOWS: [&str; 3] = ["config", "config_entries", "flow"];
/// All that HA says to a token that it does not accept.
const UNAUTHORIZED: &[u8] = b"401: Unauthorized";
/// What HA shows in the browser once it has accepted a code.
const TAKEN_OVER: &str = "window.close()";

impl Rest {
    /// Calls nobody yet.
    pub(super) fn new(
        address: Address,
        network: &Network,
        token: Secret,
        fence: FenceSlot,
    ) -> Result<Self, TargetError> {
        let client = network.shared_client(address.url());
        let client = client.map_err(|why| unreachable(&address, why))?;
        Ok(Self { client, address, token, fence })
    }

    /// Removes a linked account; one that is gone is removed.
    pub(super) async fn remove(&self, entry: &EntryId) -> Result<(), CommandError> {
        let path = ["config", "config_entries", "entry", entry.as_str()];
        let call = self.call(Method::DELETE, &path, REMOVE_TIMEOUT_SECONDS);
        match self.answered(call).await?.status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// What no other run of HA has; none where it does not say.
    pub(super) async fn run_id(&self) -> Option<RunId> {
        let call = self.call(Method::POST, &["template"], TIMEOUT_SECONDS);
        let call = call.json(&Template { template: OLDEST_STATES });
        let answer =
            self.answered(call).await.ok().filter(|answer| answer.status == StatusCode::OK)?;
        RunId::new(answer.json::<Vec<SmolStr>>().ok()?)
    }

    /// Starts a config flow: for a new account, or to link one again. HA installs what the
    /// integration needs before the first step.
    pub(super) async fn start_flow(
        &self,
        domain: &Domain,
        account: Option<&EntryId>,
        base: &str,
    ) -> Result<FlowResponse, CommandError> {
        let call = self.flow_call(Method::POST, &[], FLOW_START_TIMEOUT_SECONDS, base);
        let start = StartFlow { handler: domain.as_str(), entry_id: account };
        let started = self.answered(call.json(&start)).await?;
        match started.status {
            StatusCode::OK => step(&started),
            StatusCode::NOT_FOUND => Err(refused(StatusCode::NOT_FOUND, CANNOT_LOAD)),
            StatusCode::BAD_REQUEST => Err(match failed_dependencies(&started.body) {
                Some(failed) => refused(
                    StatusCode::BAD_REQUEST,
                    &format!(
                        "Home Assistant cannot set up what the integration depends on: {failed}"
                    ),
                ),
                None if is_of_home_assistant(&started.body) => CommandError::NoSuchStep,
                None => unexpected(StatusCode::BAD_REQUEST),
            }),
            other => Err(unexpected(other)),
        }
    }

    /// Where a flow is; none where HA no longer has it.
    pub(super) async fn look_at_flow(
        &self,
        flow: &FlowId,
        base: &str,
    ) -> Result<Option<FlowResponse>, CommandError> {
        let call = self.flow_call(Method::GET, &[flow.as_str()], FLOW_TIMEOUT_SECONDS, base);
        let looked = self.answered(call).await?;
        match looked.status {
            StatusCode::OK => step(&looked).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(unexpected(other)),
        }
    }

    /// Fills a form in.
    pub(super) async fn answer_flow(
        &self,
        flow: &FlowId,
        answers: &Map<String, Value>,
        base: &str,
    ) -> Result<FlowAnswer<Box<FlowResponse>>, CommandError> {
        let call = self.flow_call(Method::POST, &[flow.as_str()], FLOW_TIMEOUT_SECONDS, base);
        let taken = self.answered(call.json(answers)).await?;
        match taken.status {
            StatusCode::OK => step(&taken).map(|step| FlowAnswer::Step(Box::new(step))),
            StatusCode::NOT_FOUND => Ok(FlowAnswer::Gone),
            StatusCode::BAD_REQUEST => match taken.json::<FormErrors>() {
                Ok(unfit) => Ok(FlowAnswer::Invalid(errors(unfit.errors))),
                Err(_) => Err(refused(
                    StatusCode::BAD_REQUEST,
                    "Home Assistant does not accept the answer",
                )),
            },
            other => Err(unexpected(other)),
        }
    }

    /// Ends a flow; one that is gone is ended.
    pub(super) async fn abort_flow(&self, flow: &FlowId) -> Result<(), CommandError> {
        let path = [&FLOWS[..], &[flow.as_str()]].concat();
        match self.answered(self.call(Method::DELETE, &path, TIMEOUT_SECONDS)).await?.status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Hands on to HA what a provider's redirect brought, as the browser would have. HA says with 400
    /// that it does not know the flow; anything else comes from what is before it, or passes.
    pub(super) async fn hand_over(&self, query: &str) -> Result<(), HandOverError> {
        let not_now = |fault: CommandError| HandOverError::NotNow(fault.to_string());
        let mut url = self.address.callback();
        url.set_query(Some(query));
        let call = self.client.get(url).timeout(Duration::from_secs(TIMEOUT_SECONDS));
        let answer = self.answered(call).await.map_err(not_now)?;
        let page = String::from_utf8_lossy(&answer.body);
        match answer.status {
            StatusCode::OK if page.contains(TAKEN_OVER) => Ok(()),
            StatusCode::OK => {
                Err(HandOverError::NotNow("the answer is not from Home Assistant".to_owned()))
            }
            StatusCode::BAD_REQUEST => {
                Err(HandOverError::Refused("it has no such set-up any more".to_owned()))
            }
            other => Err(HandOverError::NotNow(format!("it answered {other}"))),
        }
    }

    fn flow_call(
        &self,
        method: Method,
        path: &[&str],
        timeout_seconds: u64,
        base: &str,
    ) -> RequestBuilder {
        // Without it, flow calls end in an error unless HA's `my` integration is there. HA makes
        // the address of it to which the provider sends the browser back.
        self.call(method, &[&FLOWS[..], path].concat(), timeout_seconds)
            .header("HA-Frontend-Base", base)
    }

    fn call(&self, method: Method, path: &[&str], timeout_seconds: u64) -> RequestBuilder {
        self.client
            .request(method, self.address.api(path))
            .bearer_auth(self.token.expose())
            .timeout(Duration::from_secs(timeout_seconds))
    }

    async fn answered(&self, call: RequestBuilder) -> Result<RestResponse, CommandError> {
        if !self.fence.is_open() {
            return Err(CommandError::Stopped);
        }
        // A call that is still being connected must not leave later.
        tokio::select! {
            biased;
            () = self.fence.ended() => {
                Err(CommandError::Lost(CLOSED.to_owned()))
            }
            answer = answered(call) => answer,
        }
    }
}

/// An answer, read to its end.
struct RestResponse {
    status: StatusCode,
    body: Zeroizing<Vec<u8>>,
}

impl RestResponse {
    fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }
}

fn step(answer: &RestResponse) -> Result<FlowResponse, CommandError> {
    answer.json().map_err(|_| CommandError::Unreadable("not a step of a config flow".to_owned()))
}

async fn answered(call: RequestBuilder) -> Result<RestResponse, CommandError> {
    let answer = call.send().await.map_err(|error| {
        if error.is_timeout() && !error.is_connect() {
            return CommandError::TimedOut;
        }
        let unsent = error.is_connect() || error.is_builder();
        let why = http::innermost(error);
        if unsent { CommandError::Unsent(why) } else { CommandError::Lost(why) }
    })?;
    let status = answer.status();
    if is_starting(status) {
        return Err(CommandError::Lost(format!(
            "a proxy answers {status}, since Home Assistant does not answer it"
        )));
    }
    let body = http::read(answer, LARGEST_ANSWER_BYTES).await;
    let body = body.map_err(|why| CommandError::Lost(why.to_string()))?;
    match status {
        StatusCode::UNAUTHORIZED if *body == UNAUTHORIZED => {
            Err(CommandError::Denied(Denial::Token))
        }
        StatusCode::UNAUTHORIZED => Err(CommandError::Denied(Denial::Proxy)),
        _ => Ok(RestResponse { status, body }),
    }
}

/// The integrations that HA names as `Failed dependencies recorder, usb`.
fn failed_dependencies(body: &[u8]) -> Option<&str> {
    let failed = std::str::from_utf8(body).ok()?.strip_prefix("Failed dependencies ")?;
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || "_, ".contains(c);
    failed.chars().all(is_of_names).then_some(failed)
}

/// Whether a refusal is in the form in which HA itself gives reasons. A proxy in front of it has pages of its own.
fn is_of_home_assistant(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|body| body["message"].is_string())
}

fn unexpected(status: StatusCode) -> CommandError {
    match status {
        StatusCode::FORBIDDEN => CommandError::Denied(Denial::Machine),
        StatusCode::PAYLOAD_TOO_LARGE => {
            refused(status, "a proxy in front of Home Assistant accepts no request as large")
        }
        _ if status.is_redirection() => refused(
            status,
            "a proxy in front of Home Assistant redirects this call, as to a sign-in page; it may want `headers` of the target",
        ),
        other => refused(other, "Home Assistant's log may say more"),
    }
}

/// HA's own text is left out: it may quote what it was sent.
fn refused(status: StatusCode, message: &str) -> CommandError {
    CommandError::Refused { code: format!("HTTP {}", status.as_u16()), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{CommandError, LARGEST_ANSWER_BYTES, Rest};
    use crate::http::Network;
    use crate::model::{Domain, EntryId, FlowId, Secret};
    use crate::target::fence::{Fence, FenceSlot, uptime};
    use crate::target::home_assistant::address::Address;

    /// Answers every call with a body that never ends.
    async fn endless() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // Something of the call has come.
                    stream.read_u8().await.unwrap();
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    while stream.write_all(&[b' '; 64 * 1024]).await.is_ok() {}
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn a_call_is_dropped_when_the_time_to_act_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (slot, fence) = (FenceSlot::default(), Fence::default());
        slot.set(fence.clone());
        fence.open_until(uptime() + Duration::from_secs(3600));
        let address = Address::parse(&url).unwrap();
        let rest = Rest::new(address, &Network::default(), Secret::new("t"), slot).unwrap();
        let entry = EntryId::new("e");
        let close = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            fence.close();
            // All of the call, and then the end.
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
        };
        let (removed, ()) = tokio::join!(rest.remove(&entry), close);
        assert!(matches!(removed, Err(CommandError::Lost(_))), "{removed:?}");
        assert_eq!(rest.remove(&entry).await, Err(CommandError::Stopped));
    }

    #[tokio::test]
    async fn an_answer_without_end_is_an_error_of_every_call() {
        let address = Address::parse(&endless().await).unwrap();
        let rest = Rest::new(address, &Network::default(), Secret::new("t"), FenceSlot::default())
            .unwrap();
        let (entry, flow, domain) = (EntryId::new("e"), FlowId::new("f"), Domain::new("d"));
        let answers = serde_json::Map::new();
        let said = [
            rest.remove(&entry).await.map_err(|why| why.to_string()),
            rest.start_flow(&domain, None, "b").await.map(drop).map_err(|why| why.to_string()),
            rest.look_at_flow(&flow, "b").await.map(drop).map_err(|why| why.to_string()),
            rest.answer_flow(&flow, &answers, "b").await.map(drop).map_err(|why| why.to_string()),
            rest.abort_flow(&flow).await.map_err(|why| why.to_string()),
            rest.hand_over("state=s").await.map_err(|why| why.to_string()),
        ];
        let too_large = format!("its answer is larger than {} KiB", LARGEST_ANSWER_BYTES / 1024);
        for said in said {
            assert_eq!(said, Err(too_large.clone()));
        }
    }
}
