//! What a repository has where it lacks what is asked for.

use super::GitSource;
use super::fetch_error::FetchError;
use super::limited::Deadline;
use super::source::succeeded;
use crate::model::Visible;

/// No more branches are named.
const MOST: usize = 5;

impl GitSource {
    /// Why there is no such commit: without any the repository is empty, and the branch that it gives who asks for
    /// none may not be there.
    pub(super) fn no_such_ref(&self, deadline: Deadline<'_>) -> FetchError {
        let mut list = self.git(&self.access.settings(&self.url));
        list.args(["ls-remote", "--quiet", "--", self.url.as_str()]);
        self.access.prepare(&mut list, &self.url);
        let Ok(refs) = succeeded(&mut list, deadline) else { return FetchError::NoSuchRef };
        let refs = String::from_utf8_lossy(&refs);
        let branches: Vec<_> = refs
            .lines()
            .filter_map(|line| line.split_once('\t')?.1.strip_prefix("refs/heads/"))
            .map(|name| name.visible())
            .collect();
        match branches.as_slice() {
            _ if refs.trim().is_empty() => FetchError::Empty,
            [] => FetchError::NoSuchRef,
            _ if !self.reference.is_default() => FetchError::NoSuchRef,
            some => {
                let more = if some.len() > MOST { ", …" } else { "" };
                let named: Vec<_> =
                    some.iter().take(MOST).map(|name| format!("`{name}`")).collect();
                FetchError::NoDefault(named.join(", ") + more)
            }
        }
    }
}
