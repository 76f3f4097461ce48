//! A source of secrets for tests alone: it shows that a source is one file and one line in a list.

use super::source::SecretSource;
use crate::model::Secret;

pub(super) const SOURCE: SecretSource = SecretSource {
    tag: "reversed",
    read: |argument, _, _| Ok(Secret::new(&argument.chars().rev().collect::<String>())),
    places: |_, _, _| Vec::new(),
};

#[test]
fn a_source_in_the_list_is_read_from_a_manifest() {
    use crate::manifest::{Project, entries};
    use crate::secret::{SecretResolver, read};

    let text = "application_credentials:\n  - domain: spotify\n    client_id: a\n    client_secret: !reversed terces\n";
    let (entries, problems) = entries("a.yaml".as_ref(), text, &Project::default());
    assert!(!problems.has_errors());
    let secret = read(&entries[0].client_secret.value, &SecretResolver::default());
    assert_eq!(secret, Ok(Secret::new("secret")));
}
