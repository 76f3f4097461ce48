//! HTTP as the tests speak it, apart from how appcred does.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request};

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(60)));
    config.build().new_agent()
});

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where a redirect leads.
    pub(crate) location: Option<String>,
    /// The first cookie, as it is to be sent back.
    pub(crate) cookie: Option<String>,
    /// All headers.
    pub(crate) headers: String,
    pub(crate) text: String,
}

impl Answer {
    /// The body, as text where it is not JSON.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| Value::from(self.text.as_str()))
    }
}

/// Opens an address as a browser does that follows a link.
#[track_caller]
pub(crate) fn visit(url: &str) -> Answer {
    send("GET", url, &[], None).unwrap()
}

/// Sends one request; redirects are not followed.
pub(crate) fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
) -> Result<Answer, ureq::Error> {
    let mut request = Request::builder().method(Method::try_from(method).unwrap()).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = match body {
        Some(body) => AGENT.run(request.body(body).unwrap())?,
        None => AGENT.run(request.body(()).unwrap())?,
    };
    let status = response.status().as_u16();
    let header = |name| Some(response.headers().get(name)?.to_str().unwrap().to_owned());
    let location = header("location");
    let cookie = header("set-cookie").and_then(|cookie| Some(cookie.split(';').next()?.to_owned()));
    let headers = format!("{:?}", response.headers());
    let text = response.body_mut().read_to_string()?;
    Ok(Answer { status, location, cookie, headers, text })
}
