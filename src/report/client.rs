//! What providers say of clients of which they are asked regularly.

use schemars::JsonSchema;
use serde::Serialize;

use super::moment::Moment;
use crate::codes::ClientCode;
use crate::model::ClientAnswer;
use crate::status::ClientCheck;

/// What a provider says of a client of which it is asked regularly.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedClient<'a> {
    /// What it said last that was clear.
    pub(crate) verdict: ClientCode,
    /// Its message, or why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<&'a str>,
    /// When it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asked_at: Option<Moment>,
}

impl<'a> From<&'a ClientCheck> for ReportedClient<'a> {
    fn from(check: &'a ClientCheck) -> Self {
        let (answer, asked_at) = match check {
            ClientCheck::LeftOut(why) => {
                let (verdict, message) = (ClientCode::NotAsked, Some(why.as_str()));
                return Self { verdict, message, asked_at: None };
            }
            ClientCheck::Said { answer, at } => (answer, Some(Moment(*at))),
        };
        let (verdict, message) = match answer {
            ClientAnswer::NotAsked => (ClientCode::NotAsked, None),
            ClientAnswer::Accepted => (ClientCode::Accepted, None),
            ClientAnswer::Rejected(why) => (ClientCode::Rejected, Some(why.as_str())),
            ClientAnswer::Unclear(why) => (ClientCode::Unclear, Some(why.as_str())),
        };
        Self { verdict, message, asked_at }
    }
}
