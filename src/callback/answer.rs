//! What a browser brings back: the query of the address that it was sent to.

use url::form_urlencoded;

/// The parts of an answer that count.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthorizationResponse {
    /// Which request it answers; `None` where it says none, or several.
    pub state: Option<String>,
    /// The code of the consent; `None` where it says none, or several.
    pub code: Option<String>,
    /// Whether it says why there is no code.
    pub has_error: bool,
}

impl AuthorizationResponse {
    /// Reads a query.
    pub fn read(query: &str) -> Self {
        let (mut states, mut codes, mut has_error) = (Vec::new(), Vec::new(), false);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "state" => states.push(value.into_owned()),
                "code" => codes.push(value.into_owned()),
                "error" => has_error = true,
                _ => {}
            }
        }
        Self { state: only(states), code: only(codes), has_error }
    }

    /// Whether it says that consent was given, or why not.
    pub fn is_complete(&self) -> bool {
        self.code.is_some() || self.has_error
    }
}

fn only(mut values: Vec<String>) -> Option<String> {
    values.pop().filter(|_| values.is_empty())
}

#[cfg(test)]
mod tests {
    use super::AuthorizationResponse;

    #[test]
    fn what_is_said_twice_is_not_said() {
        let read = |query: &str| {
            let answer = AuthorizationResponse::read(query);
            let is_complete = answer.is_complete();
            (answer.state.unwrap_or_default(), answer.code.unwrap_or_default(), is_complete)
        };
        let parts =
            |state: &str, code: &str, is_complete| (state.to_owned(), code.to_owned(), is_complete);
        assert_eq!(read("state=a%20b&code=c%26d"), parts("a b", "c&d", true));
        assert_eq!(read("state=a&error=access_denied"), parts("a", "", true));
        assert_eq!(read("state=a&state=b&code=c"), parts("", "c", true));
        assert_eq!(read("state=a&code=b&code=c"), parts("a", "", false));
        assert_eq!(read(""), parts("", "", false));
    }
}
