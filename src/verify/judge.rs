//! What follows from a provider's answer.

use oauth2::RequestTokenError;
use oauth2::basic::{BasicErrorResponse, BasicErrorResponseType};
use oauth2::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::Verdict;
use super::words::one_line;
use crate::http::NoAnswer;
use crate::model::Secret;

/// Judges an answer by its status, where one came, and by what `oauth2` made of it.
pub(super) fn judge(
    status: Option<StatusCode>,
    granted: Result<(), RequestTokenError<NoAnswer, BasicErrorResponse>>,
    secret: &Secret,
) -> Verdict {
    let status = status.unwrap_or_default();
    if let Some(verdict) = by_status(status) {
        return verdict;
    }
    match granted {
        Ok(()) => Verdict::Unclear("it grants whatever it is asked for".to_owned()),
        Err(RequestTokenError::Request(why @ NoAnswer::Lost(_))) => {
            Verdict::Unreachable(why.to_string())
        }
        Err(RequestTokenError::Request(why @ NoAnswer::TooLarge(_))) => {
            Verdict::Unclear(why.to_string())
        }
        Err(RequestTokenError::ServerResponse(said)) => {
            by_code(said.error(), said.error_description().map(String::as_str), secret)
        }
        Err(RequestTokenError::Parse(_, body)) => by_body(&body, status, secret),
        Err(RequestTokenError::Other(_)) => Verdict::Unclear(no_code(status)),
    }
}

/// What a status means without a body.
fn by_status(status: StatusCode) -> Option<Verdict> {
    let unclear = |why: &str| Some(Verdict::Unclear(format!("{why} ({status})")));
    match status {
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Some(Verdict::Unreachable(format!("it answers {status}")))
        }
        _ if status.is_redirection() => {
            unclear("it redirects to another address, which is not followed")
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => {
            unclear("there is no token endpoint")
        }
        _ => None,
    }
}

fn by_code(code: &BasicErrorResponseType, words: Option<&str>, secret: &Secret) -> Verdict {
    let name = harmless(code.as_ref(), secret);
    let name = name.unwrap_or_else(|| "what is not repeated here".to_owned());
    let said = match words.and_then(|words| harmless(words, secret)) {
        Some(words) => format!("{name}: {words}"),
        None => name,
    };
    match code {
        BasicErrorResponseType::InvalidGrant => Verdict::Right,
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
            Verdict::Wrong(said)
        }
        // Google's, of a client that is gone.
        BasicErrorResponseType::Extension(code)
            if matches!(code.as_str(), "deleted_client" | "disabled_client") =>
        {
            Verdict::Wrong(said)
        }
        _ => Verdict::Unclear(format!("it says {said}")),
    }
}

/// What providers say that have a form of their own, or that send an error with status 200.
#[derive(Deserialize)]
struct Loose {
    error: Option<Value>,
    error_description: Option<String>,
    message: Option<String>,
}

fn by_body(body: &[u8], status: StatusCode, secret: &Secret) -> Verdict {
    let Ok(Loose { error, error_description, message }) = serde_json::from_slice(body) else {
        return Verdict::Unclear(no_code(status));
    };
    let words = error_description.or(message);
    if let Some(Ok(code)) = error.map(serde_json::from_value) {
        return by_code(&code, words.as_deref(), secret);
    }
    let said = words.and_then(|words| harmless(&words, secret));
    Verdict::Unclear(match said {
        Some(said) => format!("{}, but says: {said}", no_code(status)),
        None => no_code(status),
    })
}

fn no_code(status: StatusCode) -> String {
    format!("it answers {status} without an error code of OAuth2")
}

/// A provider's words, unless they repeat the secret.
fn harmless(words: &str, secret: &Secret) -> Option<String> {
    let line = one_line(words);
    (!words.contains(secret.expose()) && !line.is_empty()).then_some(line)
}
